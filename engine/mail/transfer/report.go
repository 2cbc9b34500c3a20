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

	*kind
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
	noMessages   = &kind{"file is not a message (its first line is not a header field)", "files are not messages (their first lines are not header fields)", true}
	emptyFiles   = &kind{"file is empty", "files are empty", true}
	unreadable   = &kind{"file can't be unpacked", "files can't be unpacked", true}
	deleted      = &kind{"message is marked as deleted and is skipped", "messages are marked as deleted and are skipped", false}
	folders      = &kind{"folder is skipped; import it by its own path", "folders are skipped; import each by its own path", false}
	links        = &kind{"link is skipped", "links are skipped", false}
	others       = &kind{"file is skipped because of its name", "files are skipped because of their names", false}
	inTmp        = &kind{"file in tmp is skipped: its delivery was not finished", "files in tmp are skipped: their delivery was not finished", false}
	noText       = &kind{"message without a header and a body is skipped", "messages without a header and a body are skipped", false}
	noHeader     = &kind{"message has no header and gets one, with its sender only", "messages have no header and get one, with their sender only", false}
	present      = &kind{"message is in the maildrop already and is skipped", "messages are in the maildrop already and are skipped", false}
	otherUIDL    = &kind{"message gets another unique-id, since another message of the maildrop has its own; clients may fetch it again", "messages get other unique-ids, since other messages of the maildrop have theirs; clients may fetch them again", false}
	laterUIDL    = &kind{"message of the maildrop gets the unique-id that its server has given it since", "messages of the maildrop get the unique-ids that their server has given them since", false}
	deletedThere = &kind{"message is not in its Maildir any more and is deleted here", "messages are not in their Maildirs any more and are deleted here", false}
	badUIDL      = &kind{"message gets another unique-id, since its own is not 1 to 70 visible characters; clients may fetch it again", "messages get other unique-ids, since theirs are not 1 to 70 visible characters; clients may fetch them again", false}
	wrongLines   = &kind{"list of unique-ids has lines that are not understood; clients may fetch these messages again", "lists of unique-ids have lines that are not understood; clients may fetch these messages again", false}
	unlike       = &kind{"file or folder of the tree does not fit the pattern and is skipped", "files or folders of the tree do not fit the pattern and are skipped", false}
	noMaildirs   = &kind{"folder of the tree has no Maildir where the pattern wants one", "folders of the tree have no Maildir where the pattern wants one", false}
	noAccount    = &kind{"Maildir has no account here and is skipped", "Maildirs have no accounts here and are skipped", false}
	failed       = &kind{"Maildir could not be imported", "Maildirs could not be imported", true}
	doubtful     = &kind{"line is ambiguous", "lines are ambiguous", false}
)

// Wrong reports whether the import ends with ErrData because of it.
func (p Passed) Wrong() bool { return p.wrong }

// String is a sentence with the names.
func (p Passed) String() string {
	what := p.many
	if p.Count == 1 {
		what = p.one
	}
	if p.kind == present || p.kind == deletedThere { // many, and of no interest one by one
		return fmt.Sprintf("%d %s", p.Count, what)
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
	each  func(k *kind, name string) // may be nil
}

func (r *report) add(k *kind, name string) {
	if r.each != nil && k != present && k != deletedThere {
		r.each(k, name)
	}
	r.note(k, name)
}

// note is add for what was told already.
func (r *report) note(k *kind, name string) {
	i := slices.Index(r.kinds, k)
	if i < 0 {
		i = len(r.list)
		r.kinds, r.list = append(r.kinds, k), append(r.list, Passed{kind: k})
	}
	p := &r.list[i]
	if p.Count++; len(p.Names) < maxNames {
		p.Names = append(p.Names, name)
	}
}

// merge adds what the report of a Maildir has; where is its path, which is put before names
// without it.
func (r *report) merge(p Passed, where string) {
	for _, name := range p.Names {
		if !strings.Contains(name, where) {
			name = where + ": " + name
		}
		r.note(p.kind, name)
	}
	i := slices.Index(r.kinds, p.kind)
	r.list[i].Count += p.Count - len(p.Names)
}

// err is the error of what was wrong; nil: nothing.
func (r *report) err() error {
	var wrong []string
	for _, p := range r.list {
		if p.Wrong() {
			wrong = append(wrong, p.String())
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return kinded{errors.New(strings.Join(wrong, "; ")), ErrData}
}
