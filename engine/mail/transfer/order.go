package transfer

import (
	"bufio"
	"cmp"
	"os"
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
	uid    uint64            // from Dovecot's list; 0: none
	second int64             // from a Maildir name, or from at
	micro  uint64
}

// inOrder puts the files of a folder in order: files of an export of ours by the
// ids of their messages. Others in a Maildir by dovecot-uidlist, and then by the
// time in the name, or of the last change where there is none; other files by the
// time of the last change. The names decide between equal ones, numbers in them
// by value.
func inOrder(files []found, maildir bool, uids map[string]uint64) {
	ours := true
	for i := range files {
		f := &files[i]
		base, _ := splitFlags(filepath.Base(f.path))
		f.second = f.at.Unix()
		f.micro = uint64(f.at.Nanosecond()) / 1000
		parts := strings.SplitN(base, ".", 3)
		if maildir {
			f.uid = uids[base]
			if n, err := strconv.ParseInt(parts[0], 10, 64); err == nil {
				f.second, f.micro = n, microOf(parts)
			}
			parts = parts[1:]
		}
		if own := len(parts) == 2 && parts[1] == map[bool]string{true: "postrider", false: "eml"}[maildir]; own {
			f.id, _ = storage.ParseMessageID(parts[0])
		}
		ours = ours && f.id != 0
	}
	slices.SortFunc(files, func(a, b found) int {
		switch {
		case ours:
			return cmp.Compare(a.id, b.id)
		case a.uid != 0 && b.uid != 0:
			return cmp.Compare(a.uid, b.uid)
		case a.uid != 0:
			return -1 // what Dovecot has not seen yet is new
		case b.uid != 0:
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

// readUIDs reads dovecot-uidlist: the UIDs of the names without flags. A list that is
// not there, or not readable, is empty.
func readUIDs(maildir string) map[string]uint64 {
	f, err := os.Open(filepath.Join(maildir, "dovecot-uidlist"))
	if err != nil {
		return nil
	}
	defer f.Close()
	uids := make(map[string]uint64)
	lines := bufio.NewScanner(f)
	if !lines.Scan() {
		return nil
	}
	fields := strings.HasPrefix(lines.Text(), "3 ")
	for lines.Scan() {
		number, name, _ := strings.Cut(lines.Text(), " ")
		if fields { // "7 W1394 :name"
			_, name, _ = strings.Cut(name, ":")
		}
		if n, err := strconv.ParseUint(number, 10, 32); err == nil {
			name, _ = splitFlags(name)
			uids[name] = n
		}
	}
	return uids
}
