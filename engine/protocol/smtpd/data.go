package smtpd

import (
	"postrider/codec/dot"
	"postrider/codec/smtp"
)

// Why the machine itself refuses a message.
var (
	tooBig   = smtp.Reply{Code: 552, Enhanced: "5.3.4", Text: "Message size exceeds the fixed limit"}
	tooFar   = smtp.Reply{Code: 554, Enhanced: "5.4.6", Text: "Too many hops: the message loops", Reason: smtp.TooManyHops}
	bareLF   = smtp.Reply{Code: 550, Enhanced: "5.5.2", Text: "A line of the message ends with LF alone; lines end with CRLF (RFC 5321 section 2.3.8)", Reason: smtp.BareLineEnd}
	lfDot    = smtp.Reply{Code: 550, Enhanced: "5.5.2", Text: `A line with only a dot came with LF alone; CRLF "." CRLF ends a message (nc needs -C); nothing was taken, closing connection`, Reason: smtp.BareLineEnd}
	bareCR   = smtp.Reply{Code: 550, Enhanced: "5.5.2", Text: "The message has CR without LF (RFC 5321 section 2.3.8)", Reason: smtp.BareLineEnd}
	goAhead  = smtp.Reply{Code: 354, Text: `Enter mail, end with "." on a line by itself`}
	noBinary = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "BODY=BINARYMIME requires BDAT instead of DATA"}
)

var crlf, twoDots, lastDots = []byte("\r\n"), []byte(".."), []byte("..\r\n")

// data is DATA.
func (s *Session) data(arg []byte, e *Effects) {
	switch {
	case len(arg) > 0:
		s.refuse(&noArgument, e)
	case s.tx.Mail.Body == smtp.BodyBinaryMIME:
		s.refuse(&noBinary, e)
	default:
		s.say(&goAhead, e)
		s.enter(InData)
	}
}

// readData reads the octets of a message that follow DATA.
func (s *Session) readData(in []byte, e *Effects) (n int, more bool) {
	t := s.tx
	n, skip, v := t.next(in, t.scan.Scanner.Scan)
	if t.loneDot(n, skip, v) && s.cfg.BareLF == Reject {
		s.endByLF(e)
		return n + skip, false
	}
	s.refuseUnfit(in[:n], v, e)
	if n > 0 && s.emit(in[:n], e) && v != dot.More {
		t.owed = owed{open: true, verdict: v, skip: skip}
		return n, true
	}
	switch v {
	case dot.More:
		return n, false
	case dot.End:
		s.endOfMessage(e)
	default:
		n += s.mend(in[n:], v, e)
	}
	return n + skip, true
}

// loneDot reports whether a scan has come to a line that is a dot and ends with LF alone.
// dot.Scanner skips such a dot together with its LF, or has it stuffed if the line before
// ended with LF, too.
func (t *Transaction) loneDot(n, skip int, v dot.Verdict) bool {
	is := v == dot.BareLF && (skip == 2 || n == 0 && t.dotted)
	t.dotted = v == dot.Stuff || v == dot.More && n == 0 && t.dotted
	t.lfDot = t.lfDot || is
	return is
}

// endByLF refuses a message in which a dot on a line of its own came with LF alone. A
// person who types it waits for a reply, and would wait for the rest of the session: so it
// is sent now. It can't be the end of the message: a client that knows only CRLF.CRLF
// goes on with text, which must not be read as commands. So the session ends with it.
func (s *Session) endByLF(e *Effects) {
	s.refuse(&lfDot, e)
	if s.phase != Closed {
		s.hangUp(e)
	}
}

// next gives what is owed, or scans on.
func (t *Transaction) next(in []byte, scan func([]byte) (int, int, dot.Verdict)) (n, skip int, v dot.Verdict) {
	if t.owed.open && len(in) > 0 {
		o := t.owed
		t.owed = owed{}
		return 0, o.skip, o.verdict
	}
	return scan(in)
}

// unfit is the refusal that a verdict brings by policy, or nil.
func (s *Session) unfit(v dot.Verdict) *smtp.Reply {
	switch {
	case v == dot.BareCR:
		return &bareCR
	case v == dot.BareLF && s.cfg.BareLF == Reject:
		return &bareLF
	}
	return nil
}

// mend inserts into the message what the peer left out. A dot that src begins with
// is handed out and consumed together with the one that stuffs it, so that there
// is no Body without something consumed.
func (s *Session) mend(src []byte, v dot.Verdict, e *Effects) (n int) {
	switch {
	case v == dot.Stuff:
		s.tx.scan.Scanner.Scan(src[:1])
		s.emit(twoDots, e)
		return 1
	case v == dot.BareLF && s.unfit(v) == nil:
		s.tx.scan.CountCRLF()
		s.emit(crlf, e)
	}
	return 0
}

// emit hands out a run of the message, unless that is refused, and reports whether
// it did.
func (s *Session) emit(run []byte, e *Effects) bool {
	if !s.fits(run, e) {
		return false
	}
	e.Body, s.tx.drafted = run, true
	return true
}

// fits reports whether the message may still be stored with run in it, and refuses
// it otherwise.
func (s *Session) fits(run []byte, e *Effects) bool {
	t := s.tx
	if t.refused != nil {
		return false
	}
	t.Head.Feed(run)
	if s.cfg.MaxSize > 0 && t.scan.Size > s.cfg.MaxSize {
		t.refuse(&tooBig, e)
		return false
	}
	return true
}

// refuseUnfit refuses the message for what follows run. What is wrong with
// run itself comes first, so that the reason does not depend on how the network
// cut the input.
func (s *Session) refuseUnfit(run []byte, v dot.Verdict, e *Effects) {
	if r := s.unfit(v); r != nil {
		s.fits(run, e)
		s.tx.refuse(r, e)
	}
}

// endOfMessage asks for the message to be stored, or refuses it.
func (s *Session) endOfMessage(e *Effects) {
	if s.cfg.MaxHops > 0 && s.tx.Head.Hops() > s.cfg.MaxHops {
		s.tx.refuse(&tooFar, e)
		e.Body = nil // void like the draft
	}
	if r := s.tx.refused; r != nil {
		s.refuse(r, e)
		s.endTransaction(e)
		return
	}
	s.ask(AskStored, e)
}
