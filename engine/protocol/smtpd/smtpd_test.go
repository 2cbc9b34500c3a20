package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"postrider/codec/sasl"
	"postrider/codec/smtp"
	"postrider/engine/protocol/transcript"
	"postrider/storage"
)

// player is a Session as the transcript player and the fuzzer see it. The draft
// is shown with the question about it: what of a message comes before it is
// refused depends on how the network cuts it.
type player struct {
	t       testing.TB
	cfg     Config
	s       Session
	e       Effects
	draft   []byte
	begun   bool
	reply   []byte
	effects []string
	closed  bool
	auto    bool // every question is answered with Yes, and not shown
	stored  []string
}

// settings of a transcript change this.
func testConfig() Config {
	return Config{Hostname: "mx.example", MaxSize: 1000, MaxRecipients: 100, MaxErrors: 20, MaxHops: 100}
}

func open(t testing.TB, settings map[string]string) *player {
	p := &player{t: t, cfg: testConfig()}
	peer := Peer{Addr: "192.0.2.1", Name: "client.example"}
	for k, v := range settings {
		n, err := strconv.Atoi(v)
		switch k {
		case "max-size":
			p.cfg.MaxSize = int64(n)
		case "max-recipients":
			p.cfg.MaxRecipients = n
		case "max-messages":
			p.cfg.MaxMessages = n
		case "max-errors":
			p.cfg.MaxErrors = n
		case "max-hops":
			p.cfg.MaxHops = n
		case "bare-lf":
			err = nil
			if v == "normalize" {
				p.cfg.BareLF = Normalize
			}
		case "peer":
			peer.Name, err = v, nil
		case "tls":
			p.cfg.OfferTLS, err = v == "offered", nil
			peer.Secure = v == "on"
		case "auth":
			err = nil
			for name := range strings.SplitSeq(v, ",") {
				p.cfg.Auth.Mechanisms |= sasl.SetOf(sasl.ParseMechanism([]byte(name)))
			}
		case "auth-required":
			p.cfg.Auth.Required, err = v == "yes", nil
		case "plaintext":
			p.cfg.Auth.Plaintext, err = v == "yes", nil
		case "loopback":
			peer.Loopback, err = v == "yes", nil
		case "proxy":
			peer.Proxy, err = v == "yes", nil
		case "auto":
			p.auto, err = v == "yes", nil
		default:
			err = errors.New("no such setting")
		}
		if err != nil {
			t.Fatalf("set %s %s: %v", k, v, err)
		}
	}
	p.cfg.Auth.Nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }
	p.s.Init(&p.cfg, peer)
	if peer.Secure {
		p.s.Secured(TLSFacts{Binding: transcript.ChannelBinding})
	}
	return p
}

func (p *player) Greet() { p.call(func() { p.s.Greet(&p.e) }) }

func (p *player) Feed(in []byte) (n int) {
	p.call(func() { n = p.s.Feed(in, &p.e) })
	if n == 0 && (len(p.e.Body) > 0 || len(p.e.Reply) > 0 || p.e.Ask != AskNothing) {
		p.t.Error("something was produced, but nothing consumed")
	}
	return n
}

func (p *player) TimeOut() { p.call(func() { p.s.TimeOut(&p.e) }) }

var verdicts = map[string]Verdict{
	"yes": Yes, "here": Here, "unknown": Unknown, "alias-loop": AliasLoop, "not-relayed": NotRelayed, "mailbox-full": MailboxFull,
	"mailbox-over": MailboxOver, "mailbox-off": MailboxOff,
	"too-many-now": TooManyNow, "full": Full, "busy": Busy, "failed": Failed,
	"ambiguous": Ambiguous, "unsaid": Unsaid, "denied": Denied, "refused": Refused, "shutdown": Shutdown,
}

// Answer takes a verdict, and names after it with "|" between. "drain" is no
// answer: the server begins to shut down; nor is "dismiss": an operator ends the session; nor is "secured": the handshake is done; nor
// "expire": the login does not hold any more.
func (p *player) Answer(text string) error {
	if text == "dismiss" {
		p.s.Dismiss()
		text = "drain"
	}
	if text == "drain" {
		p.call(func() { p.s.Shutdown(&p.e) })
		return nil
	}
	if text == "expire" {
		p.call(func() { p.s.Expire(&p.e) })
		return nil
	}
	if text == "secured" {
		p.s.Secured(TLSFacts{Binding: transcript.ChannelBinding})
		return nil
	}
	if p.s.Asking() == AskNothing {
		return errors.New("no question is open")
	}
	word, names, _ := strings.Cut(text, " ")
	a := Answer{Verdict: verdicts[word]}
	if names != "" {
		a.Names = strings.Split(names, "|")
	}
	if word == "yes" && p.s.Asking() == AskStored {
		a.Receipt = storage.NewReceipt(42)
		p.begun = false
	}
	if word == "refused" {
		code, text, _ := strings.Cut(names, " ")
		enhanced, text, _ := strings.Cut(text, " ")
		a.Reply = &smtp.Reply{Enhanced: enhanced, Text: text, Reason: smtp.Pipelining}
		a.Reply.Code, _ = strconv.Atoi(code)
		a.Names = nil
	}
	if p.s.Asking() == AskAuth {
		a.Account, a.Names = "tim@mx.example", nil
		a.Verifier = transcript.Pencil()
	}
	p.call(func() { p.s.Answer(a, &p.e) })
	return nil
}

// call calls the machine and carries out the Effects.
func (p *player) call(f func()) {
	p.e.Reset()
	before := len(p.reply)
	f()
	e := &p.e
	if e.Drop {
		if !p.begun {
			p.t.Error("Drop without a Body before")
		}
		p.draft, p.begun = nil, false
	}
	if len(e.Body) > 0 {
		if p.s.Transaction() == nil {
			p.t.Error("a Body outside a transaction")
		}
		p.draft, p.begun = append(p.draft, e.Body...), true
	}
	p.reply = append(p.reply, e.Reply...)
	for _, r := range e.Refused {
		if line := string(p.reply[before+r.From : before+r.To]); !strings.HasSuffix(line, "\r\n") || line[0] < '4' {
			p.t.Errorf("Refused shows %q", line)
		} else if r.Reason == smtp.ReasonOther {
			p.t.Errorf("%q has no reason of its own", line)
		}
	}
	if want := said(e.Reply); e.Said != want {
		p.t.Errorf("Said is %v, want %v: %q", e.Said, want, e.Reply)
	}
	if e.StartTLS {
		p.effects = append(p.effects, "start-tls")
	}
	p.closed = p.closed || e.Close
	if e.Close && p.begun {
		p.t.Error("closed with a draft that is not dropped")
	}
	p.question(e.Ask)
}

// said counts replies by their text: the last line of each has a blank after its code.
func said(reply []byte) (n Said) {
	for line := range bytes.Lines(reply) {
		if line[3] == ' ' {
			n[line[0]-'2']++
		}
	}
	return n
}

func (p *player) question(q Question) {
	show := func(format string, args ...any) {
		if !p.auto {
			p.effects = append(p.effects, fmt.Sprintf(format, args...))
		}
	}
	s := &p.s
	switch q {
	case AskNothing:
		return
	case AskTransaction:
		m := s.Transaction().Mail
		show("may-begin %q size=%d body=%d utf8=%t ret=%d envid=%q", m.From, m.Size, m.Body, m.SMTPUTF8, m.Ret, m.EnvID)
	case AskRecipient:
		r := s.Transaction().Recipients[len(s.Transaction().Recipients)-1]
		show("is-recipient local=%q domain=%q notify=%d orcpt=%q", s.ForwardPath().Local(), s.ForwardPath().Domain(), r.Notify, r.ORcpt)
	case AskStored:
		t := s.Transaction()
		c := t.Counts()
		if int(c.Wire) != len(p.draft) {
			p.t.Errorf("Wire is %d, the draft has %d octets", c.Wire, len(p.draft))
		}
		for _, r := range t.Recipients {
			show("recipient %s", r.To)
		}
		as := ""
		if t.Mail.Body == smtp.BodyBinaryMIME {
			as = [...]string{"", " as=7bit", " as=8bit", " as=binary"}[t.Body()]
		}
		show("is-stored %q size=%d 8bit=%t hops=%d%s", p.draft, c.Size, c.EightBit, t.Head.Hops(), as)
		p.stored = append(p.stored, string(p.draft))
		p.draft = nil
	case AskVerify:
		show("verify %q", s.Argument())
	case AskExpand:
		show("expand %q", s.Argument())
	case AskAuth:
		c := s.Claim()
		show("%s", map[sasl.Need]string{
			sasl.NeedVerifier: fmt.Sprintf("verifier-of %q", c.User),
			sasl.NeedPassword: fmt.Sprintf("fits user=%q authzid=%q password=%q", c.User, c.Authzid, c.Password),
			sasl.NeedDigest:   fmt.Sprintf("fits user=%q nonce=%q digest=%s", c.User, c.Nonce, c.Digest),
			sasl.NeedConsent:  fmt.Sprintf("consent user=%q authzid=%q proven=%t", c.User, c.Authzid, c.Proven),
		}[c.Need])
	case AskTLS:
		show("may-start-tls")
	case AskClient:
		c := s.Client()
		show("speaks-for addr=%s name=%s", c.Addr, c.Name)
	}
	if p.auto {
		if err := p.Answer("yes"); err != nil {
			p.t.Error(err)
		}
	}
}

func (p *player) Take() ([]byte, []string, bool) {
	reply, effects := p.reply, p.effects
	p.reply, p.effects = nil, nil
	return reply, effects, p.closed
}

func TestTranscripts(t *testing.T) {
	transcript.Play(t, "testdata/*.smtp", func(t testing.TB, settings map[string]string) transcript.Machine {
		return open(t, settings)
	})
}
