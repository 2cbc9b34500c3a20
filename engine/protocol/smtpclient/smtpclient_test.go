package smtpclient

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"postrider/codec/smtp"
	"postrider/engine/protocol/transcript"
)

// player is a Session as the transcript player and the fuzzer see it.
type player struct {
	t       testing.TB
	cfg     Config
	tx      *Transaction // the one that was begun last
	first   *Transaction // with Greet
	s       Session
	e       Effects
	sent    []byte
	effects []string
	left    []byte // what receive has sent and was not consumed
	closed  bool

	begun, ended int
	bodies       int  // messages sent to their end in this transaction
	spoke        bool // the peer spoke while the message was being sent
}

func testTransaction() *Transaction {
	return &Transaction{ReversePath: "joe@client.example", Recipients: []Recipient{{ForwardPath: "ann@mx.example"}}}
}

// open makes a player of settings: "begin" is a transaction in the words of
// parseTransaction or "none", "auth" is user:password,
// "max-reply" a number, "tls" may or must.
func open(t testing.TB, settings map[string]string) *player {
	p := &player{t: t, cfg: Config{Helo: "client.example"}, first: testTransaction()}
	for k, v := range settings {
		var err error
		switch k {
		case "begin":
			p.first, err = parseTransaction(v)
		case "auth":
			user, password, _ := strings.Cut(v, ":")
			p.cfg.Auth = &Credentials{user, password}
		case "tls":
			p.cfg.TLS = map[string]TLS{"may": TLSMay, "must": TLSMust}[v]
		case "max-reply":
			p.cfg.MaxReply, err = strconv.Atoi(v)
		default:
			err = errors.New("no such setting")
		}
		if err != nil {
			t.Fatalf("set %s %s: %v", k, v, err)
		}
	}
	p.s.Init(&p.cfg)
	return p
}

// parseTransaction reads words such as "from=a@b to=c@d notify=never to=e@f
// many=100 size=5 body=8bit utf8 ret=hdrs envid=x". A parameter of RCPT belongs to
// the recipient before it, and so does "ascii"; many adds so many recipients.
func parseTransaction(text string) (*Transaction, error) {
	if text == "none" {
		return nil, nil
	}
	tx := testTransaction()
	to := tx.Recipients[:0]
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		switch key {
		case "from":
			tx.ReversePath, err = value, nil
		case "to":
			to, err = append(to, Recipient{ForwardPath: value}), nil
		case "from-ascii":
			tx.ASCIIReversePath, err = value, nil
		case "ascii":
			to[len(to)-1].ASCIIPath, err = value, nil
		case "notify":
			to[len(to)-1].Notify, err = notifyWords[value], nil
		case "orcpt":
			to[len(to)-1].ORcpt, err = value, nil
		case "many":
			for i := range n {
				to = append(to, Recipient{ForwardPath: fmt.Sprintf("r%d@mx.example", i+1)})
			}
		case "size":
			tx.Size = n
		case "body":
			tx.Body, err = bodyWords[value], nil
		case "utf8":
			tx.SMTPUTF8, err = true, nil
		case "ret":
			tx.Ret, err = retWords[value], nil
		case "envid":
			tx.EnvID, err = value, nil
		default:
			err = errors.New("no such word")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", word, err)
		}
	}
	if len(to) > 0 {
		tx.Recipients = to
	}
	return tx, nil
}

var (
	notifyWords = map[string]smtp.Notify{"never": smtp.NotifyNever, "success": smtp.NotifySuccess, "all": smtp.NotifySuccess | smtp.NotifyFailure | smtp.NotifyDelay}
	bodyWords   = map[string]smtp.Body{"7bit": smtp.Body7Bit, "8bit": smtp.Body8BitMIME, "binary": smtp.BodyBinaryMIME}
	retWords    = map[string]smtp.Ret{"full": smtp.RetFull, "hdrs": smtp.RetHdrs}
)

func (p *player) Greet() {
	if p.first != nil {
		p.begin(p.first)
	}
}

func (p *player) begin(tx *Transaction) {
	p.tx, p.bodies, p.spoke = tx, 0, false
	p.begun++
	p.call(func() { p.s.Begin(tx, &p.e) })
}

func (p *player) Feed(in []byte) (n int) {
	p.spoke = p.spoke || p.s.at.phase == streaming && !smtp.IsFiller(in)
	p.call(func() { n = p.s.Feed(in, &p.e) })
	if p.e.Outcome == nil {
		return n
	}
	lines := strings.Split(strings.TrimSuffix(string(in[:n]), "\n"), "\n")
	for _, r := range p.e.Outcome.Results {
		if r.Verdict == Delivered && (p.spoke || lines[len(lines)-1][0] != '2') {
			p.t.Errorf("delivered by %q (the peer spoke before the end: %t)", lines[len(lines)-1], p.spoke)
		}
	}
	return n
}

func (p *player) TimeOut() {
	p.effects = append(p.effects, "waited for "+waits[p.s.Waiting()])
	p.call(func() { p.s.TimeOut(&p.e) })
}

var waits = map[Wait]string{
	WaitNothing: "nothing", WaitGreeting: "the greeting", WaitCommand: "a command",
	WaitDataInit: "DATA", WaitDataBlock: "a piece of the message", WaitDataDone: "the end of the message",
}

// Answer takes what the caller tells the machine: the message was "sent" or is
// "unreadable", the connection is "lost" or "secured", its handshake failed ("unsecured"
// and why), "quit", "begin" and a transaction.
func (p *player) Answer(text string) error {
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "sent":
		if p.s.at.phase != streaming {
			return errors.New("the message was not asked for")
		}
		p.bodyDone()
	case "unreadable":
		p.call(func() { p.s.BodyFailed(&p.e) })
	case "secured":
		if p.s.at.phase != securing {
			return errors.New("TLS was not to be started")
		}
		p.call(func() { p.s.Secured(&p.e) })
	case "unsecured":
		p.call(func() { p.s.TLSFailed(rest, &p.e) })
	case "lost":
		p.call(func() { p.s.Lost(&p.e) })
	case "quit":
		p.call(func() { p.s.Quit(&p.e) })
	case "begin":
		tx, err := parseTransaction(rest)
		if err != nil {
			return err
		}
		if !p.s.Ready() {
			return errors.New("the session is not ready")
		}
		p.begin(tx)
	default:
		return errors.New("no such answer")
	}
	return nil
}

func (p *player) bodyDone() {
	p.bodies++
	p.call(func() { p.s.BodyDone(&p.e) })
}

// call calls the machine and records the Effects.
func (p *player) call(f func()) {
	p.e.Reset()
	f()
	e := &p.e
	p.sent = append(p.sent, e.Send...)
	switch e.Ask {
	case AskBody:
		p.note("send the message")
	}
	if e.StartTLS {
		p.note("start TLS")
	}
	if e.Outcome != nil {
		p.outcome(e.Outcome)
	}
	if e.Close {
		p.closed = true
		if fault, ok := p.s.Fault(); ok {
			p.note("fault: %s %s", fault.Status, fault.Reply)
		}
	}
}

func (p *player) note(format string, args ...any) {
	p.effects = append(p.effects, fmt.Sprintf(format, args...))
}

var (
	verdicts = [...]string{Undecided: "UNDECIDED", Delivered: "delivered", Temporary: "temporary", Permanent: "permanent"}
	scopes   = [...]string{ScopeRecipient: "recipient", ScopeMessage: "message", ScopeHost: "host"}
)

func (p *player) outcome(o *Outcome) {
	p.ended++
	if p.ended != p.begun || len(o.Results) != len(p.tx.Recipients) {
		p.t.Errorf("outcome %d of %d with %d results for %d recipients", p.ended, p.begun, len(o.Results), len(p.tx.Recipients))
	}
	for _, r := range o.Results {
		if r.Verdict == Undecided || r.Verdict == Delivered && p.bodies != 1 {
			p.t.Errorf("%s after %d messages", verdicts[r.Verdict], p.bodies)
		}
		if want := "?245"[r.Verdict]; len(r.Status) < 5 || r.Status[0] != want || r.Reply == "" {
			p.t.Errorf("%s with %q %q", verdicts[r.Verdict], r.Status, r.Reply)
		}
	}
	for i := 0; i < len(o.Results); {
		end := i + 1
		for end < len(o.Results) && o.Results[end] == o.Results[i] {
			end++
		}
		p.row(i, end, o.Results[i])
		i = end
	}
	if o.DSN {
		p.note("dsn")
	}
	if o.Doubt {
		p.note("doubt")
	}
	if o.Stale {
		p.note("stale")
	}
	if p.s.Ready() {
		p.note("ready")
	}
}

// row shows the results of recipients that are alike, of many the first and last.
func (p *player) row(from, end int, r Result) {
	for i := from; i < end; i++ {
		switch {
		case end-from <= 4 || i == from || i == end-1:
			p.note("%s", show(p.tx.Recipients[i].ForwardPath, r))
		case i == from+1:
			p.note("...")
		}
	}
}

func show(to string, r Result) string {
	line := fmt.Sprintf("%s <%s> %s %s", verdicts[r.Verdict], to, r.Status, r.Reply)
	if r.Verb != "" {
		line += " (" + r.Verb + ")"
	}
	if r.Verdict != Delivered {
		line += " " + scopes[r.Scope]
	}
	if r.Again {
		line += " again"
	}
	return line
}

func (p *player) Take() ([]byte, []string, bool) {
	sent, effects := p.sent, p.effects
	p.sent, p.effects = nil, nil
	return sent, effects, p.closed
}

func TestTranscripts(t *testing.T) {
	transcript.PlayClient(t, "testdata/*.smtp", func(t testing.TB, settings map[string]string) transcript.Machine {
		return open(t, settings)
	})
}

// Lines of text that came while no reply was due begin the next reply, however they were
// cut: each is still a line of its own when the reply is read.
func TestFillerInPieces(t *testing.T) {
	const hello, dialogue = "220 a\r\n250 a\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n~"
	for _, end := range []string{"\n", "\r\n"} {
		for cut := range 8 {
			// After a reply, before the next transaction.
			idle := hello + dialogue + "250 ok\r\n" + end + " ~x" + end + "250 ok\r\n550 no\r\n452 no\r\n452 no\r\n354 go\r\n~250 ok\r\n"
			in := strings.ReplaceAll(idle, "~", string([]byte{rest}))
			if _, results := playAll(t, []byte(in), cut, map[string]string{"begin": "none"}); strings.Contains(results, "does not speak SMTP") {
				t.Errorf("idle, line end %q, cut %d:\n%s", end, cut, results)
			}
			// While the message is sent, then an early reply.
			in = hello + strings.TrimSuffix(dialogue, "~") + end + "200 early" + end
			if _, results := playAll(t, []byte(in), cut, map[string]string{"begin": "none"}); !strings.Contains(results, "an unsolicited reply: 200 early") {
				t.Errorf("message, line end %q, cut %d:\n%s", end, cut, results)
			}
		}
	}
}
