package sink

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"time"
)

// POP3Options say what a sink's POP3 server is like.
type POP3Options struct {
	Rules []*Rule
	Waits map[Stage]Wait
	// Messages are in each maildrop at the begin, in wire form (see [Made]). They
	// are only read.
	Messages [][]byte
	// Room is for arrived messages, in octets: so many are kept, the newest ones, as
	// far as Options.Keep kept them whole. 0: none can be read.
	Room int64
}

// POP3Session is one POP3 session. It does no I/O and isn't safe for concurrent use.
type POP3Session struct {
	sink   *Sink
	number uint64
	random *rand.Rand // made when first needed
	secure bool

	user    string
	rules   []*Rule // the user name as a rule
	inDrop  bool    // logged in
	isAuth  bool    // the next line is a response of AUTH
	drop    []*mail
	deleted map[*mail]bool

	answer *multiline // the multi-line answer that is being sent
	held   *played    // to be done once everything written so far is sent
	step   Step
}

// full is the number of octets after which replies are written before more is made.
const full = 256 << 10

// POP3Session begins a session.
func (s *Sink) POP3Session(string) *POP3Session {
	return &POP3Session{sink: s, number: uint64(s.counts[pop3Sessions].Add(1))}
}

// chance is like [Session]'s, and doesn't depend on the number of SMTP sessions.
func (p *POP3Session) chance() *rand.Rand {
	if p.random == nil {
		p.random = rand.New(rand.NewPCG(p.sink.options.Seed, ^p.number))
	}
	return p.random
}

// Greet appends the greeting.
func (p *POP3Session) Greet(_ time.Time, out []byte) ([]byte, Step) {
	p.step = Step{}
	out, _, done := p.fault(Greeting, out)
	if !done {
		out = append(append(out, "+OK "...), p.sink.options.Hostname+" ready\r\n"...)
	} else if p.step.Effect == None {
		p.step.Effect = Close // RFC 1939 knows no session after a -ERR for a greeting
	}
	return out, p.step
}

// Feed takes input, which it borrows, and appends replies to out. It stops early
// where the step has a wait or an effect, or much to write.
func (p *POP3Session) Feed(_ time.Time, in, out []byte) ([]byte, Step) {
	p.step = Step{}
	begin := len(out)
	for p.step.Wait == 0 && p.step.Effect == None {
		if p.held != nil && len(out) > begin || len(out)-begin >= full {
			p.step.More = true
			break
		}
		if p.held != nil {
			p.step.Wait = p.held.wait
			if p.held.rule != nil {
				p.step.Effect = p.held.rule.effect
			}
			p.held = nil
			continue
		}
		if p.answer != nil {
			out = p.write(out)
			continue
		}
		rest := in[p.step.Consumed:]
		end := bytes.IndexByte(rest, '\n')
		if end > maxLine || end < 0 && len(rest) > maxLine {
			p.step.Effect = Close
			return append(out, "-ERR line too long\r\n"...), p.step
		}
		if end < 0 {
			break
		}
		p.step.Consumed += end + 1
		out = p.line(string(bytes.TrimRight(rest[:end], "\r\n")), out)
	}
	p.step.More = p.step.More || p.answer != nil || p.held != nil
	return out, p.step
}

// fault plays the faults of a stage. done means that nothing else is to be
// answered.
func (p *POP3Session) fault(stage Stage, out []byte) (_ []byte, lies lie, done bool) {
	f := p.play(stage)
	p.step.Wait += f.wait
	if f.rule == nil {
		return out, f.lies, false
	}
	if f.rule.status != "" {
		out = p.refuse(out, strings.TrimPrefix(f.rule.status, "-ERR ")+"as asked for by "+f.rule.Text)
	}
	p.step.Effect = f.rule.effect
	return out, 0, true
}

func (p *POP3Session) play(stage Stage) played {
	return p.sink.play(p.sink.options.POP3.Waits, p.sink.pop3[stage], p.rules, stage, p.chance)
}

func (p *POP3Session) refuse(out []byte, text string) []byte {
	p.sink.counts[pop3Refused].Add(1)
	return append(append(append(out, "-ERR "...), text...), "\r\n"...)
}

// line answers one line.
func (p *POP3Session) line(line string, out []byte) []byte {
	if p.isAuth {
		p.isAuth = false
		return p.auth(line, out)
	}
	verb, argument, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "CAPA":
		return p.capabilities(out)
	case "QUIT":
		return p.quit(out)
	}
	if p.inDrop {
		return p.transaction(strings.ToUpper(verb), argument, out)
	}
	return p.authorization(strings.ToUpper(verb), argument, out)
}

func (p *POP3Session) capabilities(out []byte) []byte {
	out = append(out, "+OK\r\nTOP\r\nUIDL\r\nUSER\r\nSASL PLAIN\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"...)
	if p.sink.options.TLS != nil && !p.secure && !p.inDrop {
		out = append(out, "STLS\r\n"...)
	}
	return append(out, ".\r\n"...)
}

// quit removes what was marked, unless a fault comes first.
func (p *POP3Session) quit(out []byte) []byte {
	out, _, done := p.fault(Quit, out)
	if p.step.Effect == None {
		p.step.Effect = Close
	}
	if done {
		return out
	}
	if len(p.deleted) > 0 {
		p.sink.drops.delete(p.user, p.deleted)
		p.sink.counts[deleted].Add(int64(len(p.deleted)))
	}
	return append(out, "+OK bye\r\n"...)
}

func (p *POP3Session) authorization(verb, argument string, out []byte) []byte {
	switch verb {
	case "USER":
		p.name(argument)
		out, _, done := p.fault(User, out)
		if done {
			p.user = ""
			return out
		}
		return append(out, "+OK\r\n"...)
	case "PASS":
		if p.user == "" {
			return p.refuse(out, "USER first")
		}
		return p.login(out)
	case "AUTH":
		mechanism, response, given := strings.Cut(argument, " ")
		if !strings.EqualFold(mechanism, "PLAIN") {
			return p.refuse(out, "only PLAIN")
		}
		if given {
			return p.auth(response, out)
		}
		p.isAuth = true
		return append(out, "+ \r\n"...)
	case "STLS":
		return p.startTLS(out)
	}
	return p.refuse(out, "log in first")
}

// name keeps the user name, which may be a rule.
func (p *POP3Session) name(user string) {
	p.user, p.rules = user, nil
	if r := p.sink.ruleOf(user, p.sink.asked, ParsePOP3Rule); r != nil {
		p.rules = []*Rule{r}
	}
}

// auth takes the response of AUTH PLAIN (RFC 4616).
func (p *POP3Session) auth(response string, out []byte) []byte {
	octets, err := base64.StdEncoding.DecodeString(response)
	parts := strings.Split(string(octets), "\x00")
	if err != nil || len(parts) != 3 || parts[1] == "" {
		return p.refuse(out, "[AUTH] not a response of PLAIN")
	}
	p.name(parts[1])
	return p.login(out)
}

// login accepts every user.
func (p *POP3Session) login(out []byte) []byte {
	out, _, done := p.fault(Pass, out)
	if done {
		p.user = ""
		return out
	}
	p.sink.counts[logins].Add(1)
	p.inDrop, p.drop = true, p.sink.drops.open(p.user)
	return append(out, "+OK welcome\r\n"...)
}

func (p *POP3Session) startTLS(out []byte) []byte {
	if p.sink.options.TLS == nil || p.secure {
		return p.refuse(out, "no TLS here")
	}
	out, _, done := p.fault(Upgrade, out)
	if done {
		return out
	}
	p.secure, p.user, p.rules, p.step.Effect = true, "", nil, StartTLS
	f := p.play(Handshake)
	if p.step.Delay = f.wait; f.rule != nil {
		p.step.Effect = f.rule.effect
	}
	return append(out, "+OK go on\r\n"...)
}

func (p *POP3Session) transaction(verb, argument string, out []byte) []byte {
	switch verb {
	case "STAT":
		return p.stat(out)
	case "LIST":
		return p.listing(List, argument, out)
	case "UIDL":
		return p.listing(Uidl, argument, out)
	case "RETR", "TOP":
		return p.message(verb, argument, out)
	case "DELE":
		return p.dele(argument, out)
	case "RSET":
		clear(p.deleted)
		return append(out, "+OK\r\n"...)
	case "NOOP":
		return append(out, "+OK\r\n"...)
	}
	return p.refuse(out, "unknown command")
}
