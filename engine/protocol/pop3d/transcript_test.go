package pop3d

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postrider/codec/pop3"
	"postrider/codec/sasl"
	"postrider/engine/protocol/transcript"
	"postrider/storage"
)

// TestTranscripts plays testdata/*.pop3. The settings are the fields of Config, and
//
//	set messages 120,200     the octets of the messages in the maildrop
//	set timestamp <1.2@h>    of the greeting, and APOP is offered
//	set tls offered          or on
//	set auth PLAIN,LOGIN     mechanisms
//	set expire 30 user       days that mail stays, not for all the same
//	set expire-mine 90       days that the user's mail stays
//	set loopback no          the peer is somewhere else
//
// The answers are the verdicts in lower case (yes, denied, in-use, temporary, gone,
// too-soon, too-many-failed, shutdown); "server-ends" calls Shutdown, "dismiss" Dismiss before it, "expire"
// Expire and "secured" Secured, question or not.
func TestTranscripts(t *testing.T) {
	transcript.Play(t, "testdata/*.pop3", func(t testing.TB, settings map[string]string) transcript.Machine {
		m := &machine{listing: new(storage.Listing)}
		cfg := &Config{Hostname: "mx.example", Version: "1.0", MaxErrors: 5, ReplyBudget: 4096}
		cfg.Nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }
		timestamp, from := "", Peer{Loopback: true}
		for key, value := range settings {
			n, _ := strconv.Atoi(value)
			switch key {
			case "messages":
				m.fill(value)
			case "timestamp":
				cfg.APOP, timestamp = true, value
			case "login-delay":
				cfg.LoginDelay = n
			case "expire":
				days, user, _ := strings.Cut(value, " ")
				least, _ := strconv.Atoi(days)
				cfg.Expire = func() (int, bool) { return least, user == "user" }
			case "expire-mine":
				m.expire = n
			case "max-errors":
				cfg.MaxErrors = n
			case "reply-budget":
				cfg.ReplyBudget = n
			case "tls":
				cfg.OfferTLS, from.Secure = value == "offered", value == "on"
			case "auth":
				for name := range strings.SplitSeq(value, ",") {
					cfg.Mechanisms |= sasl.SetOf(sasl.ParseMechanism([]byte(name)))
				}
			case "loopback":
				from.Loopback = value == "yes"
			case "plaintext":
				cfg.Plaintext = value == "yes"
			case "version":
				cfg.Version = value
			default:
				t.Fatalf("unknown setting %q", key)
			}
		}
		m.session.Init(cfg, timestamp, from)
		if from.Secure {
			m.session.Secured(TLSFacts{Binding: transcript.ChannelBinding})
		}
		return m
	})
}

// machine shows a Session to the player.
type machine struct {
	session Session
	effects Effects
	asking  Question
	listing *storage.Listing
	expire  int
}

// fill makes a maildrop with the sizes; after one there may be "=" and a unique-id.
func (m *machine) fill(sizes string) {
	for i, size := range strings.Split(sizes, ",") {
		size, uidl, _ := strings.Cut(size, "=")
		n, _ := strconv.ParseInt(size, 10, 64)
		m.listing.AppendEntry(storage.MessageID(1000+i), n, []byte(uidl))
	}
}

func (m *machine) Greet()             { m.session.Greet(&m.effects) }
func (m *machine) Feed(in []byte) int { return m.session.Feed(in, &m.effects) }
func (m *machine) TimeOut()           { m.session.TimeOut(&m.effects) }

func (m *machine) Answer(text string) error {
	if text == "dismiss" {
		m.session.Dismiss()
		text = "server-ends"
	}
	if text == "server-ends" {
		m.session.Shutdown(&m.effects)
		return nil
	}
	if text == "expire" {
		m.session.Expire(&m.effects)
		return nil
	}
	if text == "secured" {
		m.session.Secured(TLSFacts{Binding: transcript.ChannelBinding})
		return nil
	}
	q := m.asking
	if q == AskNothing {
		return errors.New("no question is open")
	}
	v, ok := map[string]Verdict{"yes": Yes, "denied": Denied, "in-use": InUse, "temporary": Temporary,
		"gone": Gone, "too-soon": TooSoon, "too-many-failed": TooManyFailed, "shutdown": Shutdown}[text]
	if !ok {
		return fmt.Errorf("unknown answer %q", text)
	}
	m.asking = AskNothing
	m.session.Answer(m.answer(q, v), &m.effects)
	return nil
}

// answer adds to a verdict what belongs to it.
func (m *machine) answer(q Question, v Verdict) Answer {
	a := Answer{Verdict: v}
	switch q {
	case AskLogin, AskAPOP, AskAuth:
		a.Listing, a.Verifier, a.Expire = m.listing, transcript.Pencil(), m.expire
	case AskRead, AskSent:
		_, a.Octets = m.listing.At(m.session.Reading())
	}
	return a
}

func (m *machine) Take() (reply []byte, effects []string, closed bool) {
	reply, closed = m.effects.Reply, m.effects.Close
	var oks uint16
	var errs [len(pop3.Codes)]uint16
	for line := range bytes.Lines(reply) {
		switch {
		case bytes.HasPrefix(line, []byte("+OK")):
			oks++
		case bytes.HasPrefix(line, []byte("-ERR")):
			code, _, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("-ERR [")), []byte("] "))
			errs[max(0, slices.Index(pop3.Codes[:], pop3.Code(code)))]++
		}
	}
	if e := &m.effects; e.OKs != oks || e.Errs != errs {
		effects = append(effects, fmt.Sprintf("BUG: %d +OK and %v -ERR are counted as %d and %v", oks, errs, e.OKs, e.Errs))
	}
	if m.effects.Ask != AskNothing {
		m.asking = m.effects.Ask
		effects = append(effects, m.question())
	}
	if m.effects.StartTLS {
		effects = append(effects, "start-tls")
	}
	if closed && m.session.listing != nil {
		effects = append(effects, "log "+string(m.session.Counts().AppendTo(nil)))
	}
	m.effects = Effects{}
	return reply, effects, closed
}

// question is the open question with its facts.
func (m *machine) question() string {
	s := &m.session
	switch m.asking {
	case AskLogin:
		return fmt.Sprintf("login %q %q", s.User(), s.secret)
	case AskAPOP:
		return fmt.Sprintf("apop %q %s %s", s.User(), s.Digest(), s.Timestamp())
	case AskRead:
		if s.Lines() >= 0 {
			return fmt.Sprintf("read %d, %d lines of the body", s.Reading()+1, s.Lines())
		}
		return fmt.Sprintf("read %d", s.Reading()+1)
	case AskSent:
		return fmt.Sprintf("send %d", s.Reading()+1)
	case AskUpdate:
		return fmt.Sprintf("update: delete %d", s.AppendDeleted(nil))
	case AskAuth:
		c := s.Claim()
		return map[sasl.Need]string{
			sasl.NeedVerifier: fmt.Sprintf("verifier-of %q", c.User),
			sasl.NeedPassword: fmt.Sprintf("fits user=%q authzid=%q password=%q", c.User, c.Authzid, c.Password),
			sasl.NeedDigest:   fmt.Sprintf("fits user=%q nonce=%q digest=%s", c.User, c.Nonce, c.Digest),
			sasl.NeedConsent:  fmt.Sprintf("consent user=%q authzid=%q proven=%t", c.User, c.Authzid, c.Proven),
		}[c.Need]
	case AskTLS:
		return "may-start-tls"
	case AskDrained:
		return "wait until drained"
	}
	return "an unknown question"
}
