package transfer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrData: what was to be imported is not mail in the format that was named.
var ErrData = errors.New("not mail in the given format")

// kinded is an error that is of a kind, without its words.
type kinded struct {
	error
	kind error
}

func (k kinded) Unwrap() error        { return k.error }
func (k kinded) Is(target error) bool { return target == k.kind }

// Passed counts files or messages of one kind that an import has skipped, or has read
// in a way that may be wrong.
type Passed struct {
	Count int
	Names []string // the first ones
	Wrong bool     // the import ends with ErrData because of it

	what kind
}

// maxNames bounds the names of a Passed.
const maxNames = 10

// kind names what was skipped, in the singular and the plural.
type kind struct {
	one, many string
	wrong     bool
}

// The kinds.
var (
	noMessages = &kind{"file is not a message (its first line is not a header field)", "files are not messages (their first lines are not header fields)", true}
	emptyFiles = &kind{"file is empty", "files are empty", true}
	unreadable = &kind{"file can't be unpacked", "files can't be unpacked", true}
	deleted    = &kind{"message is marked as deleted and is skipped", "messages are marked as deleted and are skipped", false}
	folders    = &kind{"folder is skipped; import it by its own path", "folders are skipped; import each by its own path", false}
	links      = &kind{"link is skipped", "links are skipped", false}
	others     = &kind{"file is skipped because of its name", "files are skipped because of their names", false}
	inTmp      = &kind{"file in tmp is skipped: its delivery was not finished", "files in tmp are skipped: their delivery was not finished", false}
	noText     = &kind{"message without a header and a body is skipped", "messages without a header and a body are skipped", false}
	noHeader   = &kind{"message has no header and gets one, with its sender only", "messages have no header and get one, with their sender only", false}
	doubtful   = &kind{"line is ambiguous", "lines are ambiguous", false}
)

// String is a sentence with the names.
func (p Passed) String() string {
	what := p.what.many
	if p.Count == 1 {
		what = p.what.one
	}
	names := strings.Join(p.Names, ", ")
	if more := p.Count - len(p.Names); more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%d %s: %s", p.Count, what, names)
}

// report collects what was skipped.
type report struct {
	kinds []*kind
	list  []Passed
}

func (r *report) add(k *kind, name string) {
	i := slices.Index(r.kinds, k)
	if i < 0 {
		i = len(r.list)
		r.kinds, r.list = append(r.kinds, k), append(r.list, Passed{Wrong: k.wrong, what: *k})
	}
	p := &r.list[i]
	if p.Count++; len(p.Names) < maxNames {
		p.Names = append(p.Names, name)
	}
}

// err is the error of what was wrong; nil: nothing.
func (r *report) err() error {
	var wrong []string
	for _, p := range r.list {
		if p.Wrong {
			wrong = append(wrong, p.String())
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return kinded{errors.New(strings.Join(wrong, "; ")), ErrData}
}
