package transfer

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/storage"
)

// found is a file with a message.
type found struct {
	path string
	at   time.Time // time of its last change

	id     storage.MessageID // from an export of ours; 0: none
	rank   uint64            // from the list of another server; 0: none
	uidl   string            // "": none is known
	early  string            // the one that it has without a list
	kept   bool              // uidl goes before an X-UIDL field
	second int64             // from a Maildir name, or from at
	micro  uint64
}

// inOrder puts the files of a folder in order: files of an export of ours by the
// ids of their messages. Others in a Maildir by the list of Dovecot or Courier, and then
// by the time in the name, or of the last change where there is none; other files by the
// time of the last change. The names decide between equal ones, numbers in them
// by value.
func inOrder(files []found, maildir bool, known map[string]listed, o Options) {
	ours := true
	for i := range files {
		f := &files[i]
		base, _ := splitFlags(filepath.Base(f.path))
		f.second = f.at.Unix()
		f.micro = uint64(f.at.Nanosecond()) / 1000
		parts := strings.SplitN(base, ".", 3)
		if maildir {
			if n, err := strconv.ParseInt(parts[0], 10, 64); err == nil {
				f.second, f.micro = n, microOf(parts)
			}
			parts = parts[1:]
		}
		if own := len(parts) == 2 && parts[1] == map[bool]string{true: "postrider", false: "eml"}[maildir]; own {
			f.id, _ = storage.ParseMessageID(parts[0])
		}
		ours = ours && f.id != 0
		f.rank = known[base].rank
		f.uidl, f.kept = known[base].uidl, known[base].kept
		f.early = f.uidlOfFile(maildir, o.UIDLs.Format)
		if f.uidl == "" {
			f.uidl = f.early
		}
		if uidl, ok := o.UIDLs.Map[base]; ok {
			f.uidl, f.kept = uidl, true
		}
	}
	slices.SortFunc(files, func(a, b found) int {
		switch {
		case ours:
			return cmp.Compare(a.id, b.id)
		case a.rank != 0 && b.rank != 0:
			return cmp.Compare(a.rank, b.rank)
		case a.rank != 0:
			return -1 // what the server has not seen yet is new
		case b.rank != 0:
			return 1
		}
		return cmp.Or(cmp.Compare(a.second, b.second), cmp.Compare(a.micro, b.micro), byNumbers(filepath.Base(a.path), filepath.Base(b.path)))
	})
}

// microOf is the M of a Maildir name "seconds.M123P45Q6.host".
func microOf(parts []string) uint64 {
	if len(parts) < 2 {
		return 0
	}
	_, rest, _ := strings.Cut(parts[1], "M")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	n, _ := strconv.ParseUint(rest[:end], 10, 32)
	return n
}

// splitFlags cuts the flags off a Maildir name, "name:2,FS"; where ":" is not allowed
// in names, programs write ";" or "!".
func splitFlags(name string) (base, flags string) {
	for _, mark := range []string{":2,", ";2,", "!2,"} {
		if i := strings.LastIndex(name, mark); i >= 0 {
			return name[:i], name[i+len(mark):]
		}
	}
	return strings.TrimSuffix(name, ":"), ""
}

// byNumbers compares names, numbers in them by value: 9.eml is before 10.eml.
func byNumbers(a, b string) int {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x, y := digits(a[i:]), digits(b[j:])
		if x == "" || y == "" {
			if c := cmp.Compare(a[i], b[j]); c != 0 {
				return c
			}
			i, j = i+1, j+1
			continue
		}
		p, q := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(p), len(q)), cmp.Compare(p, q)); c != 0 {
			return c
		}
		i, j = i+len(x), j+len(y)
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// digits returns the digits that s begins with.
func digits(s string) string {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return s[:i]
		}
	}
	return s
}
