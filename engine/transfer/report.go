package transfer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrData: what was to be imported is not mail in the format that was named.
var ErrData = errors.New("this is not mail in the format that was named")

// kinded is an error that is of a kind, without its words.
type kinded struct {
	error
	kind error
}

func (k kinded) Unwrap() error        { return k.error }
func (k kinded) Is(target error) bool { return target == k.kind }

// Passed is something of one kind that an import has passed over, or has read in a
// way that it could be wrong about.
type Passed struct {
	Count int
	Names []string // the first ones
	Wrong bool     // the import ends with ErrData because of it

	what kind
}

// maxNames is the most names of a Passed.
const maxNames = 10

// kind says what was passed over, of one and of several.
type kind struct {
	one, many string
	wrong     bool
}

// The kinds.
var (
	noMessages = &kind{"file is no message (its first line is no header field)", "files are no messages (their first lines are no header fields)", true}
	emptyFiles = &kind{"file is empty", "files are empty", true}
	unreadable = &kind{"file can't be unpacked", "files can't be unpacked", true}
	deleted    = &kind{"message is marked as deleted and is passed over", "messages are marked as deleted and are passed over", false}
	folders    = &kind{"folder is passed over; import it by its own path", "folders are passed over; import each by its own path", false}
	links      = &kind{"link is passed over", "links are passed over", false}
	others     = &kind{"file is passed over because of its name", "files are passed over because of their names", false}
	inTmp      = &kind{"file in tmp is passed over: its delivery was not finished", "files in tmp are passed over: their delivery was not finished", false}
	noText     = &kind{"message without a header and a body is passed over", "messages without a header and a body are passed over", false}
	noHeader   = &kind{"message has no header and gets one, with its sender only", "messages have no header and get one, with their sender only", false}
	doubtful   = &kind{"line could be read otherwise", "lines could be read otherwise", false}
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

// report collects what was passed over.
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
