package sendmail

import (
	"bufio"
	"io"
)

// untilDot reads up to a line that is a "." alone, which ends a message that is
// typed, or to the end.
type untilDot struct {
	in    *bufio.Reader
	left  []byte // the rest of the line that was read
	start bool   // left begins a line
	ended bool
}

func newUntilDot(in io.Reader) *untilDot {
	return &untilDot{in: bufio.NewReaderSize(in, 64<<10), start: true}
}

func (u *untilDot) Read(p []byte) (int, error) {
	if u.ended {
		return 0, io.EOF
	}
	if len(u.left) == 0 {
		piece, err := u.in.ReadSlice('\n')
		if u.start && isDot(piece) {
			u.ended = true
			return 0, io.EOF
		}
		if len(piece) == 0 {
			return 0, err
		}
		u.left, u.start = piece, piece[len(piece)-1] == '\n'
	}
	n := copy(p, u.left)
	u.left = u.left[n:]
	return n, nil
}

// isDot reports whether a line is a "." alone.
func isDot(line []byte) bool {
	switch string(line) {
	case ".", ".\n", ".\r\n":
		return true
	}
	return false
}
