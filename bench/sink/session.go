package sink

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Effect is what a driver has to do after it has written the replies.
type Effect uint8

// The effects.
const (
	None     Effect = iota
	Close           // end the connection
	Reset           // end it by RST, which may overtake the replies
	Silence         // read and write nothing more, keep it open
	StartTLS        // shake hands, then go on
)

// Step is the result of feeding a session.
type Step struct {
	Consumed int           // octets of the input; the driver keeps the rest and feeds it again
	Wait     time.Duration // before the replies are written
	Effect   Effect
	Delay    time.Duration // for StartTLS: before the handshake
	More     bool          // feed again once the replies are written, input or not
}

// maxLine bounds a command line.
const maxLine = 4096

// Session is one SMTP session. It does no I/O and isn't safe for concurrent use.
type Session struct {
	sink   *Sink
	client string
	number uint64
	random *rand.Rand // made when first needed
	now    time.Time

	secure  bool
	inMail  bool
	from    string
	to      []string
	rules   []*Rule // the rules that its recipients asked for
	inData  bool
	matched int // octets of endOfData that were seen
	chunk   int // octets of a chunk that are to come
	last    bool
	inChunk bool
	octets  int
	kept    []byte
	step    Step
}

// Session begins a session of a client's address. Feed it nothing for the greeting.
func (s *Sink) Session(client string) *Session {
	s.counts[sessions].Add(1)
	return &Session{sink: s, client: client, number: s.session.Add(1)}
}

// chance is the session's own random numbers: the same seed and session number
// give the same.
func (s *Session) chance() *rand.Rand {
	if s.random == nil {
		s.random = rand.New(rand.NewPCG(s.sink.options.Seed, s.number))
	}
	return s.random
}

// Greet appends the greeting.
func (s *Session) Greet(now time.Time, out []byte) ([]byte, Step) {
	s.now, s.step = now, Step{}
	if out, ok := s.fault(Greeting, out); ok {
		return out, s.step
	}
	return append(append(out, "220 "...), s.sink.options.Hostname+" ESMTP\r\n"...), s.step
}

// Feed takes input, which it borrows, and appends replies to out. It stops early
// where the step has a wait or an effect.
func (s *Session) Feed(now time.Time, in, out []byte) ([]byte, Step) {
	s.now, s.step = now, Step{}
	for s.step.Consumed < len(in) && s.step.Wait == 0 && s.step.Effect == None {
		rest := in[s.step.Consumed:]
		switch {
		case s.inData:
			out = s.data(rest, out)
		case s.inChunk:
			out = s.chunkData(rest, out)
		default:
			end := bytes.IndexByte(rest, '\n')
			if end > maxLine || end < 0 && len(rest) > maxLine {
				out = append(out, "500 5.5.2 line too long\r\n"...)
				s.step.Effect = Close
				return out, s.step
			}
			if end < 0 {
				return out, s.step
			}
			s.step.Consumed += end + 1
			out = s.command(bytes.TrimRight(rest[:end], "\r\n"), out)
		}
	}
	return out, s.step
}

// fault plays the faults of a stage. done means that nothing else is to be
// answered.
func (s *Session) fault(stage Stage, out []byte) (_ []byte, done bool) {
	p := s.sink.play(s.sink.options.Waits, s.sink.rules[stage], s.rules, stage, s.chance)
	s.step.Wait += p.wait
	if p.rule == nil {
		return out, false
	}
	if p.rule.code != 0 {
		out = s.refuse(out, p.rule.code, "as asked for by "+p.rule.Text)
	}
	s.step.Effect = p.rule.effect
	return out, true
}

// refuse appends a reply with the enhanced code that fits.
func (s *Session) refuse(out []byte, code int, text string) []byte {
	s.sink.refused(code)
	status := map[int]string{421: "4.3.2", 450: "4.2.0", 451: "4.3.0", 452: "4.3.1", 454: "4.7.0", 550: "5.1.1", 552: "5.3.4", 554: "5.7.1"}[code]
	if status == "" {
		status = fmt.Sprintf("%d.0.0", code/100)
	}
	if code == 421 {
		s.step.Effect = Close
	}
	return fmt.Appendf(out, "%d %s %s\r\n", code, status, text)
}

// command answers one line.
func (s *Session) command(line, out []byte) []byte {
	verb, argument, _ := bytes.Cut(line, []byte(" "))
	switch strings.ToUpper(string(verb)) {
	case "EHLO", "HELO":
		return s.hello(verb, out)
	case "MAIL":
		return s.mail(argument, out)
	case "RCPT":
		return s.rcpt(argument, out)
	case "DATA":
		if len(s.to) == 0 {
			return append(out, "503 5.5.1 no recipients\r\n"...)
		}
		out, done := s.fault(Data, out)
		if done {
			return out
		}
		s.inData, s.matched, s.octets, s.kept = true, 2, 0, nil
		return append(out, "354 go on\r\n"...)
	case "BDAT":
		return s.bdat(argument, out)
	case "RSET":
		s.reset()
		return append(out, "250 2.0.0 ok\r\n"...)
	case "NOOP":
		return append(out, "250 2.0.0 ok\r\n"...)
	case "AUTH":
		return append(out, "235 2.7.0 welcome\r\n"...)
	case "STARTTLS":
		return s.startTLS(out)
	case "QUIT":
		out, done := s.fault(Quit, out)
		if done {
			return out
		}
		s.step.Effect = Close
		return append(out, "221 2.0.0 bye\r\n"...)
	}
	return append(out, "502 5.5.1 unknown command\r\n"...)
}

func (s *Session) startTLS(out []byte) []byte {
	if s.sink.options.TLS == nil || s.secure {
		return append(out, "502 5.5.1 no TLS here\r\n"...)
	}
	out, done := s.fault(Upgrade, out)
	if done {
		return out
	}
	s.reset()
	s.secure, s.step.Effect = true, StartTLS
	p := s.sink.play(s.sink.options.Waits, s.sink.rules[Handshake], nil, Handshake, s.chance)
	if s.step.Delay = p.wait; p.rule != nil {
		s.step.Effect = p.rule.effect
	}
	return append(out, "220 2.0.0 go on\r\n"...)
}

func (s *Session) reset() {
	s.inMail, s.from, s.to, s.rules = false, "", s.to[:0], nil
}

func (s *Session) hello(verb, out []byte) []byte {
	out, done := s.fault(Helo, out)
	if done {
		return out
	}
	s.reset()
	if verb[0]|0x20 == 'h' {
		return append(out, "250 "+s.sink.options.Hostname+"\r\n"...)
	}
	out = append(out, "250-"+s.sink.options.Hostname+"\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-AUTH PLAIN\r\n250-CHUNKING\r\n"...)
	if s.sink.options.TLS != nil && !s.secure {
		out = append(out, "250-STARTTLS\r\n"...)
	}
	return append(out, "250 DSN\r\n"...)
}

// path is the address of MAIL FROM:<...> or RCPT TO:<...>.
func path(argument []byte) (string, bool) {
	open, end := bytes.IndexByte(argument, '<'), bytes.IndexByte(argument, '>')
	if open < 0 || end < open {
		return "", false
	}
	return string(argument[open+1 : end]), true
}

func (s *Session) mail(argument, out []byte) []byte {
	from, ok := path(argument)
	if !ok || s.inMail {
		return append(out, "503 5.5.1 one MAIL FROM:<path> at a time\r\n"...)
	}
	out, done := s.fault(Mail, out)
	if done {
		return out
	}
	if !s.sink.admits(s.now, s.client) {
		return s.refuse(out, s.sink.options.LimitCode, "too many messages, come back later")
	}
	s.inMail, s.from = true, from
	return append(out, "250 2.1.0 ok\r\n"...)
}

func (s *Session) rcpt(argument, out []byte) []byte {
	to, ok := path(argument)
	if !ok || !s.inMail {
		return append(out, "503 5.5.1 MAIL first, then RCPT TO:<path>\r\n"...)
	}
	if r := s.sink.ruleOf(to, s.sink.spoken, ParseRule); r != nil && r.Stage == Rcpt {
		// It speaks for its own recipient only.
		s.rules = append(s.rules, r)
		out, done := s.fault(Rcpt, out)
		s.rules = s.rules[:len(s.rules)-1]
		if done {
			return out
		}
	} else {
		if r != nil {
			s.rules = append(s.rules, r)
		}
		out, done := s.fault(Rcpt, out)
		if done {
			return out
		}
	}
	if s.sink.isGrey(s.now, s.client, s.from, to) {
		return s.refuse(out, 451, "greylisted, come back later")
	}
	s.to = append(s.to, to)
	return append(out, "250 2.1.5 ok\r\n"...)
}

func (s *Session) bdat(argument, out []byte) []byte {
	size, last, _ := strings.Cut(string(argument), " ")
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 {
		s.step.Effect = Close
		return append(out, "501 5.5.4 BDAT takes a size\r\n"...)
	}
	if s.chunk == 0 && s.octets == 0 {
		s.kept = nil
	}
	s.inChunk, s.chunk, s.last = true, n, strings.EqualFold(last, "LAST")
	if n == 0 {
		return s.chunkData(nil, out)
	}
	return out
}
