package smtpclient

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"postrider/codec/smtp"
)

// maxText bounds the text of a Result: a peer may reply with 64 KiB for each of
// 1,000 recipients.
const maxText = 1000

// refusal is the result that a 4yz or 5yz makes.
func (s *Session) refusal(r smtp.ReceivedReply, scope Scope) Result {
	res := s.taken(r)
	res.Verdict, res.Scope = Temporary, scope
	if r.Code >= 500 {
		res.Verdict = Permanent
	}
	return res
}

// taken is the result of a reply that takes the message.
func (s *Session) taken(r smtp.ReceivedReply) Result {
	text := s.text(r)
	return Result{
		Code:    r.Code,
		Status:  status(r, text),
		Reply:   text,
		Verb:    stages[s.at.phase].verb,
		Verdict: Delivered,
		Scope:   ScopeMessage,
	}
}

// own is a result without a reply of the peer. The class of the code is that of
// the verdict.
func (s *Session) own(code, text string, scope Scope) Result {
	r := Result{Status: code, Reply: text, Verdict: Temporary, Scope: scope}
	if code[0] == '5' {
		r.Verdict = Permanent
	}
	if s.at.phase != idle {
		r.Verb = stages[s.at.phase].verb
	}
	return r
}

// outOfStep is the result of a reply that makes no sense where it came.
func (s *Session) outOfStep(r smtp.ReceivedReply) Result {
	res := s.own("4.5.0", "the host sent an unexpected reply: "+s.text(r), ScopeHost)
	if s.early {
		res.Reply = "the host sent an unsolicited reply: " + s.text(r)
	}
	return res
}

// soften makes a permanent refusal a temporary one.
func soften(r Result) Result {
	if r.Verdict == Permanent {
		r.Verdict, r.Status = Temporary, "4"+r.Status[1:]
	}
	return r
}

// maxQuote bounds what is quoted of input that is not a reply.
const maxQuote = 150

// words describes a failure of the parser for a postmaster: what the host sent in
// place of a reply is often the one clue.
func words(err error, in []byte, limit int) string {
	what := "the host does not speak SMTP: it sent "
	if errors.Is(err, smtp.ErrReplyLength) {
		what = "the host sent a reply that does not end, and begins with "
		in = in[:min(len(in), limit)] // however much of the rest was read
	}
	var first []byte
	for line := range bytes.Lines(in) {
		if !smtp.IsFiller(line) {
			first = line
			break
		}
	}
	first = bytes.TrimSpace(first[:min(len(first), maxQuote)])
	return what + `"` + string(smtp.AppendClean(nil, first)) + `"`
}

// text is the reply as one line. Replies are often the same for many recipients:
// then they share their memory.
func (s *Session) text(r smtp.ReceivedReply) string {
	var room [256]byte
	b := r.AppendText(room[:0])
	if len(b) > maxText {
		n := maxText
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		b = b[:n]
	}
	if string(b) != s.said {
		s.said = string(b)
	}
	return s.said
}

// status is the enhanced code of a reply: its own, or one that is no more specific
// than the code. A refusal of a recipient without one becomes 5.0.0, and not
// "no such user": an operator that cleans lists by it would remove addresses for a
// reply that was about the sender's address.
func status(r smtp.ReceivedReply, text string) string {
	if own := r.Enhanced(); own != nil {
		if strings.HasPrefix(text[min(4, len(text)):], string(own)) {
			return text[4 : 4+len(own)]
		}
		return string(own)
	}
	switch r.Code {
	case 500:
		return "5.5.2" // syntax error
	case 501, 504, 555:
		return "5.5.4" // invalid arguments
	case 502, 503:
		return "5.5.1" // invalid command
	case 521:
		return "5.3.2" // takes no mail, RFC 7504
	case 530:
		return "5.7.0" // RFC 4954
	case 535:
		return "5.7.8" // RFC 4954
	case 551:
		return "5.1.6" // has moved
	case 556:
		return "5.1.10" // the domain takes no mail, RFC 7504
	}
	switch r.Code / 100 {
	case 2:
		return "2.0.0"
	case 4:
		return "4.0.0"
	}
	return "5.0.0"
}
