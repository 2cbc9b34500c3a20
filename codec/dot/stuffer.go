package dot

// Stuffer reads a message in plain form (BDAT, a file), in pieces cut anywhere,
// and returns where dots are to be put to make it wire form. The zero value is
// ready. It is used as the Scanner that it is built on, with these differences:
// the verdict Stuff comes for each dot at the start of a line, End never comes.
//
// When no more input comes, a CR that More left undecided is a bare one; and
// when the message is not AtLineStart, put CRLF at its end and call CountCRLF.
type Stuffer struct{ Scanner }

// Scan is Scanner.Scan for input without stuffed dots.
func (s *Stuffer) Scan(src []byte) (n, skip int, v Verdict) {
	s.plain = true
	return s.Scanner.Scan(src)
}
