package mbox

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// twin reads a whole file at once, by the rules of the package's documentation.
type twin struct {
	file   string
	texts  []string
	doubts []int // lines
	failed bool
}

var (
	quoted    = regexp.MustCompile(`(?m)^>(>*From )`)
	fieldLine = regexp.MustCompile(`^[!-9;-~]+[ \t]*:`)
	lengths   = regexp.MustCompile(`(?i)^Content-Length[ \t]*:(.*)$`)
)

// read reads the messages.
func (w *twin) read() {
	w.file = strings.TrimPrefix(w.file, "\ufeff")
	at := len(w.file) - len(strings.TrimLeft(w.file, "\r\n"))
	if at == len(w.file) {
		return
	}
	if !strings.HasPrefix(w.file[at:], "From ") {
		w.failed = true
		return
	}
	if begins, _ := w.from(at, true); !begins {
		w.failed = true
		return
	}
	for at < len(w.file) {
		at = w.message(w.next(at))
	}
}

// next is where the line after the one at a place begins.
func (w *twin) next(at int) int {
	if i := strings.IndexByte(w.file[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(w.file)
}

// message reads the message that begins at a place, and gives the place of the next one.
func (w *twin) message(start int) (end int) {
	_, zoned := parseFrom(strings.TrimPrefix(w.file[strings.LastIndex(w.file[:max(start-1, 0)], "\n")+1:start], "From "))
	header, bodyEnd, length, count := true, 0, 0, 0
	for end = start; end < len(w.file); {
		line := w.file[end:w.next(end)]
		if strings.HasPrefix(line, "From ") {
			before := "\n" + w.file[start:end]
			begins, close := w.from(end, strings.HasSuffix(before, "\n\n") || strings.HasSuffix(before, "\n\r\n"))
			inside := end < bodyEnd
			if close && !inside || inside && (begins) {
				w.doubts = append(w.doubts, 1+strings.Count(w.file[:end], "\n"))
			}
			if begins && !inside {
				break
			}
		}
		end += len(line)
		if !header || !strings.HasSuffix(line, "\n") || len(line) >= maxLengthLine {
			continue
		}
		line = strings.TrimRight(line, "\r\n")
		if m := lengths.FindStringSubmatch(line); m != nil {
			n, err := strconv.ParseUint(strings.TrimSpace(m[1]), 10, 62)
			if length = int(n); err != nil {
				count++
			}
			count++
		}
		if line == "" {
			header = false
			if count == 1 && !zoned && length > 0 && w.agrees(end+length) {
				bodyEnd = end + length
			}
		}
	}
	text := w.file[start:end]
	if strings.HasSuffix("\n"+text, "\n\n") || strings.HasSuffix("\n"+text, "\n\r\n") {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	}
	w.texts = append(w.texts, quoted.ReplaceAllString(text, "$1"))
	return end
}

// from reports whether the line at a place, which begins with "From ", begins a message,
// and whether that was close.
func (w *twin) from(at int, empty bool) (begins, close bool) {
	text := w.file[at+5:]
	text = text[:min(len(text), maxFrom+1+maxName)]
	line, next, _ := strings.Cut(text, "\n")
	if len(line) > maxFrom || strings.HasPrefix(strings.TrimLeft(line, " \t"), ":") {
		return false, false
	}
	f, _ := parseFrom(line)
	field := fieldLine.MatchString(next)
	if !f.Date.IsZero() {
		return true, !empty && !field && !strings.HasPrefix(strings.TrimLeft(next, ">"), "From ")
	}
	return empty && field, empty || field
}

// agrees reports whether a body may end at a place.
func (w *twin) agrees(at int) bool {
	if at > len(w.file) || at < 0 {
		return false
	}
	rest := w.file[at:]
	at = len(rest)
	for range 2 {
		if strings.HasPrefix(rest, "\n") || strings.HasPrefix(rest, "\r\n") {
			rest = rest[strings.IndexByte(rest, '\n')+1:]
		}
	}
	if len(rest) == at && w.file[len(w.file)-at-1] != '\n' {
		return false
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(rest, "From "), "\n")
	f, _ := parseFrom(line[:min(len(line), maxFrom)])
	return rest == "" || strings.HasPrefix(rest, "From ") && !f.Date.IsZero()
}

// FuzzReader: the Reader finds what its twin finds, however the file comes.
func FuzzReader(f *testing.F) {
	const day = "Mon Jan  1 10:00:00 2024\n"
	f.Add("From a " + day + "A: b\n\nFrom what\n\nFrom b@c x\nD: e\n\nFrom f " + day + "text\n>From g\n")
	f.Add("\ufeff\r\nFrom a " + day + "Content-Length: 63\r\n\r\nFrom b " + day + "B: c\n\nFrom c " + day + "C: d\n\nFrom e " + day)
	f.Add("From a x\nA: b\nContent-Length:3\nContent-Length: 3\n\nxy\nFrom q\nB:\n\nFrom \n\nFrom : b\n")
	f.Add("From a " + day + "Content-Length: 5\n\nFrom b " + day)
	f.Add("From a " + strings.TrimSpace(day) + " +0000\nContent-Length: 31\n\nFrom b " + day + "\n")
	f.Fuzz(func(t *testing.T, file string) {
		if len(file) > 30000 {
			return
		}
		w := twin{file: file}
		w.read()
		for _, in := range []io.Reader{strings.NewReader(file), iotest.OneByteReader(strings.NewReader(file)), iotest.DataErrReader(strings.NewReader(file))} {
			var got []string
			var doubts []int
			var err error
			r := NewReader(in)
			r.Doubt = func(line int, what string) { doubts = append(doubts, line) }
			for {
				if _, err = r.Next(); err != nil {
					break
				}
				text, _ := io.ReadAll(r)
				got = append(got, string(text))
			}
			if (err != io.EOF) != w.failed || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", w.texts) {
				t.Fatalf("%q (%v)\n got %q\nwant %q", file, err, got, w.texts)
			}
			if fmt.Sprint(doubts) != fmt.Sprint(w.doubts) && !strings.HasPrefix(file, "\n") && !strings.HasPrefix(file, "\r") && !strings.HasPrefix(file, "\ufeff") {
				t.Fatalf("%q: doubtful lines %v, want %v", file, doubts, w.doubts)
			}
		}
	})
}
