package smtpd

import (
	"strconv"

	"postrider/codec/dot"
	"postrider/codec/smtp"
)

// bdat is BDAT (RFC 3030 section 2). It does not pass through the order table
// like the other commands: the octets after the line are never commands and
// must be read, also after a refusal. A refusal is sent at once, because a peer
// that announced more than it has would wait for ever.
func (s *Session) bdat(arg []byte, e *Effects) {
	size, last, refused := smtp.ParseBdat(arg)
	if refused != nil {
		s.refuse(refused, e)
		return
	}
	refused = commands[smtp.Bdat].refusal(s.phase)
	if refused == nil && !s.extended {
		refused = &needEhlo
	}
	if refused == nil && s.cfg.MaxSize > 0 && size > s.cfg.MaxSize-s.tx.scan.Size {
		refused = &tooBig
	}
	if refused != nil {
		s.refuse(refused, e)
	}
	if refused == &tooBig {
		s.endTransaction(e)
	}
	s.chunk, s.last, s.dropping, s.after = size, last, refused != nil, s.phase
	if s.phase != Closed {
		s.enter(InChunk)
	}
}

var (
	needEhlo   = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "BDAT requires EHLO"}
	chunkTaken = smtp.Reply{Code: 250, Enhanced: "2.0.0", Text: " octets received"}
)

// readChunk reads the octets that follow a BDAT line.
func (s *Session) readChunk(in []byte, e *Effects) (n int, more bool) {
	src := in[:min(int64(len(in)), s.chunk)]
	switch {
	case s.dropping || s.tx.refused != nil:
		n = len(src)
	case s.chunk > 0 && len(src) == 0:
		return 0, false
	case s.tx.heldCR && s.chunk > 0:
		n = s.joinCR(src[0], e)
	case s.chunk > 0:
		n = s.readPart(src, e)
	}
	s.chunk -= int64(n)
	if s.chunk > 0 {
		return n, n > 0 || len(e.Body) > 0
	}
	s.endChunk(e)
	return n, true
}

// joinCR decides about the CR at the end of the chunk before, with c after it.
func (s *Session) joinCR(c byte, e *Effects) (n int) {
	s.tx.heldCR = false
	if c != '\n' {
		s.tx.refuse(&bareCR, e)
		return 1 // dropped like the rest; a Drop without progress would stop the caller
	}
	s.tx.scan.Scan(crlf)
	s.emit(crlf, e)
	return 1
}

// readPart reads src, which is not empty and part of one chunk.
func (s *Session) readPart(src []byte, e *Effects) (n int) {
	t := s.tx
	if t.owed.tail {
		t.owed = owed{}
		s.emitTail(src[0], e)
		return 1
	}
	scan := t.scan.Scan
	if t.Mail.Body == smtp.BodyBinaryMIME {
		scan = t.scanBinary
	}
	n, skip, v := t.next(src, scan)
	s.refuseUnfit(src[:n], v, e)
	ends := int64(n) == s.chunk
	switch {
	case v == dot.More && ends && s.last && t.lacksLineEnd():
		if n == 1 {
			s.emitTail(src[0], e)
		} else if n--; s.emit(src[:n], e) {
			t.owed.tail = true
		}
		return n
	case v == dot.More && int64(len(src)) == s.chunk && !ends:
		s.holdCR(src[:n], e)
		return len(src)
	case n > 0 && s.emit(src[:n], e) && v != dot.More:
		t.owed = owed{open: true, verdict: v, skip: skip}
		return n
	case v == dot.Stuff:
		s.stuff(src[n:], e)
		return n + 1
	case v != dot.More:
		s.mend(src[n:], v, e)
	}
	return n + skip
}

// holdCR hands out the run before a CR at the end of a chunk, the only octet that
// a Stuffer leaves undecided.
func (s *Session) holdCR(run []byte, e *Effects) {
	if s.last {
		s.tx.refuse(&bareCR, e)
		return
	}
	s.tx.heldCR = true
	if len(run) > 0 {
		s.emit(run, e)
	}
}

// stuff hands out the dot that src begins with and the one that stuffs it.
func (s *Session) stuff(src []byte, e *Effects) {
	t := s.tx
	if t.Mail.Body == smtp.BodyBinaryMIME {
		t.scanBinary(src[:1])
	} else {
		t.scan.Scan(src[:1])
	}
	if s.last && s.chunk == 1 && t.lacksLineEnd() {
		t.endLine()
		s.emit(lastDots, e)
		return
	}
	s.emit(twoDots, e)
}

// tails has for each octet a run of that octet and CRLF, which outlives the
// input: the last octet of a message, and the CRLF that the message lacks.
var tails = func() (t [256][3]byte) {
	for c := range t {
		t[c] = [3]byte{byte(c), '\r', '\n'}
	}
	return t
}()

// emitTail hands out the last octet of a message that does not end with CRLF,
// and CRLF: the store takes whole lines. The CRLF counts in Size.
func (s *Session) emitTail(c byte, e *Effects) {
	s.tx.endLine()
	s.emit(tails[c][:], e)
}

// endLine counts the CRLF that is appended to the message.
func (t *Transaction) endLine() {
	if t.Mail.Body == smtp.BodyBinaryMIME {
		t.binary.CountCRLF()
		t.scan.Counts = t.binary.Counts
		return
	}
	t.scan.CountCRLF()
}

// endChunk answers a BDAT whose octets are all read.
func (s *Session) endChunk(e *Effects) {
	t := s.tx
	if s.dropping {
		s.enter(s.after)
		return
	}
	if s.last && t.heldCR {
		t.refuse(&bareCR, e)
	}
	if s.last && t.refused == nil && t.lacksLineEnd() {
		t.endLine()
		s.emit(crlf, e)
	}
	if s.last || t.refused != nil {
		s.endOfMessage(e)
		return
	}
	s.enter(Chunked)
	sum := t.scan.Size
	if t.heldCR {
		sum++
	}
	start := s.counted(e)
	e.Reply = strconv.AppendInt(e.begin(&chunkTaken), sum, 10)
	e.Reply = smtp.EndLine(append(e.Reply, chunkTaken.Text...), start)
}

// scanBinary is for a binary body what dot.Stuffer.Scan is for lines.
func (t *Transaction) scanBinary(src []byte) (n, skip int, v dot.Verdict) {
	n, skip, v = t.binary.Scan(src)
	t.scan.Counts = t.binary.Counts
	return n, skip, v
}

// lacksLineEnd reports whether the message, which is whole, lacks the CRLF of its last
// line. What is binary has no lines.
func (t *Transaction) lacksLineEnd() bool {
	if t.Mail.Body == smtp.BodyBinaryMIME {
		return !t.binary.AtLineStart() && t.binary.IsText()
	}
	return !t.scan.AtLineStart()
}
