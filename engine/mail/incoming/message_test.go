package incoming

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"postrider/codec/dot"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/router"
	"postrider/storage"
)

func (p *place) entrance() *Entrance {
	return &Entrance{Inbox: p, Keys: p.keys, Router: router.New(p, router.Settings{DefaultDomain: "a.example", Hostname: "mx.a.example", Delimiter: '+'}),
		Hostname: "mx.a.example", DefaultDomain: "a.example", MaxSize: 1 << 20, MaxHeld: 4 << 10}
}

// client sends messages as a protocol does.
type client struct {
	m        Message
	head     message.Head
	outcomes chan outcome
}

func newClient(in *Entrance) *client {
	c := &client{outcomes: make(chan outcome, 2)}
	c.m.Init(in, func(r storage.Receipt, err error) { c.outcomes <- outcome{r, err} })
	return c
}

func rcpt(t testing.TB, path string) *smtp.RcptArgs {
	t.Helper()
	args, refused := smtp.ParseRcpt([]byte("TO:<"+path+">"), 0, true)
	if refused != nil {
		t.Fatal(refused)
	}
	return &args
}

// send sends text, which is in wire form, in runs of n octets. refusal is the message's
// Refusal.
func (c *client) send(t testing.TB, from From, mayRelay bool, text string, n int, to ...string) (o outcome, refusal *smtp.Reply) {
	t.Helper()
	mail, refused := smtp.ParseMail([]byte("FROM:<ann@a.example>"), 0)
	if refused != nil {
		t.Fatal(refused)
	}
	c.m.Begin(mail.From, mayRelay)
	for _, path := range to {
		c.m.Recipient(rcpt(t, path))
	}
	c.head = message.Head{}
	from.Head, from.Received.Host, from.At = &c.head, "mx.a.example", at
	c.m.Open(&from)
	for rest := []byte(text); len(rest) > 0; {
		run := bytes.Clone(rest[:min(n, len(rest))])
		c.head.Feed(run)
		c.m.Append(run)
		clear(run) // it was borrowed
		rest = rest[len(run):]
	}
	c.m.Finish(&End{Size: int64(len(dot.AppendUnstuffed(nil, []byte(text))))})
	o, refusal = <-c.outcomes, c.m.Refusal()
	if (refusal != nil) != errors.Is(o.err, errRefused) {
		t.Errorf("refused with %v, and the error is %v", refusal, o.err)
	}
	c.m.Reset()
	return o, refusal
}

// A Message stores the same text however it is cut and whatever it was used for before, and
// calls done once.
func TestMessageIsTheSameHoweverItIsCut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dkim")
	if _, err := dkim.Create(dir, "a.example", "e1", 0); err != nil {
		t.Fatal(err)
	}
	keys, err := dkim.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	const text = "Subject: hi\r\nBcc: secret@z.example\r\n\r\n..dot\r\nbody\r\n"
	f := func(user string, keys *dkim.Keys, mayRelay bool, want string, to ...string) {
		t.Helper()
		p := newPlace()
		p.keys = keys
		c := newClient(p.entrance())
		for n := 1; n <= len(text); n++ {
			p.body = nil
			o, refusal := c.send(t, From{User: user}, mayRelay, text, n, to...)
			if o.err != nil || o.r.ID() != 42 || refusal != nil {
				t.Fatal(o, refusal)
			}
			_, got, _ := strings.Cut(string(p.body), "(CET)\r\n")
			if got != want {
				t.Fatalf("in runs of %d:\n got %q\nwant %q", n, got, want)
			}
			if plain := dot.AppendUnstuffed(nil, p.body); p.got.Size != int64(len(plain)) {
				t.Fatalf("size %d, want %d", p.got.Size, len(plain))
			}
			signed := len(p.got.Recipients) > 0 && bytes.Contains(p.got.Recipients[0].Trace, []byte("DKIM-Signature: "))
			if signed != (keys != nil && (user != "" || mayRelay)) {
				t.Fatalf("in runs of %d: signed is %v", n, signed)
			}
			if len(c.outcomes) > 0 {
				t.Fatal("done was called twice")
			}
		}
	}
	const completed = "Subject: hi\r\nMessage-ID: <20261123120005.000000000001A@mx.a.example>\r\nDate: Mon, 23 Nov 2026 13:00:05 +0100\r\n" +
		"From: <ann@a.example>\r\n\r\n..dot\r\nbody\r\n"
	f("", nil, false, text, "alice@a.example")
	f("", keys, false, text, "alice@a.example")
	f("", keys, true, text, "alice@a.example")
	f("ann@a.example", nil, true, completed, "alice@a.example")
	f("ann@a.example", keys, true, completed, "alice@a.example", "bob@a.example")
}

// A Message refuses a foreign From, and is ready for the next message.
func TestMessageOfAForeignAuthor(t *testing.T) {
	p := newPlace()
	p.names["ann"] = storage.Address{Account: 3}
	in := p.entrance()
	c := newClient(in)
	from := From{Account: 3, User: "ann@a.example"}
	f := func(text string, code int) {
		t.Helper()
		p.got, p.body, p.discarded = nil, nil, false
		o, refusal := c.send(t, from, true, text, 7, "alice@a.example")
		switch {
		case code == 0 && (refusal != nil || o.err != nil || p.got == nil):
			t.Errorf("%q: %v %v", text, o, refusal)
		case code != 0 && (refusal == nil || refusal.Code != code || p.got != nil || !p.discarded):
			t.Errorf("%q: %v, discarded %v", text, refusal, p.discarded)
		}
	}
	f("From: ann@a.example\r\n\r\nx\r\n", 0)
	f("From: bob@a.example\r\n\r\nx\r\n", 553)
	f("From: bob@a.example\r\n", 553) // nothing but a header
	f("From: ann@a.example\r\nFrom: ann@a.example\r\n\r\nx\r\n", 554)
	f("X: "+strings.Repeat("y", 5<<10)+"\r\n\r\nx\r\n", 552)
	f("Subject: x\r\n\r\nx\r\n", 0)
	in.UnsignedForeign = true
	f("From: bob@a.example\r\n\r\nx\r\n", 0)
}

// A message that the store refuses has an error and no receipt.
func TestMessageThatIsNotStored(t *testing.T) {
	p := newPlace()
	c := newClient(p.entrance())
	p.fail = storage.ErrFull
	if o, _ := c.send(t, From{}, false, "A: b\r\n\r\nx\r\n", 5, "alice@a.example"); !errors.Is(o.err, storage.ErrFull) || o.r.ID() != 0 {
		t.Error(o)
	}
	p.fail = nil
	if o, _ := c.send(t, From{}, false, "A: b\r\n\r\nx\r\n", 5, "alice@a.example"); o.err != nil || o.r.ID() != 42 {
		t.Error(o)
	}
	in := p.entrance()
	in.Convert = func(_, full func()) { full() }
	c = newClient(in)
	c.m.Begin(smtp.ReversePath{}, false)
	c.m.Recipient(rcpt(t, "alice@a.example"))
	c.m.Open(&From{Head: &c.head})
	p.got, p.discarded = nil, false
	e := End{}
	e.Envelope.Body = smtp.BodyBinaryMIME
	c.m.Finish(&e)
	if o := <-c.outcomes; !errors.Is(o.err, storage.ErrTemporary) || o.r.ID() != 0 || !p.discarded || p.got != nil {
		t.Error(o, p.discarded)
	}
}

// pieces is a stored message, as storage.Message.
type pieces []string

func (p *pieces) Entry() storage.Entry { return storage.Entry{} }
func (p *pieces) Close()               {}
func (p *pieces) Next() ([]byte, error) {
	if len(*p) == 0 {
		return nil, io.EOF
	}
	piece := (*p)[0]
	*p = (*p)[1:]
	if piece == "" {
		return nil, storage.ErrCorrupt
	}
	return []byte(piece), nil
}

func TestWriteAndCopy(t *testing.T) {
	p := newPlace()
	in := p.entrance()
	m := in.New("")
	if o := m.Recipient(rcpt(t, "team@a.example")); o != router.Local {
		t.Fatal(o)
	}
	settle := []storage.Settlement{{Warned: true}}
	r, err := m.Write(context.Background(), &From{Received: message.Received{Host: "mx.a.example", With: "local"}, At: at}, []byte("Subject: x\n\n.y\n"), &End{Settle: settle})
	if err != nil || r.ID() != 42 || len(p.got.Settle) != 1 {
		t.Fatal(r, err)
	}
	const received = "Received: by mx.a.example (postrider) with local id 000000000001A;\r\n\tMon, 23 Nov 2026 13:00:05 +0100 (CET)\r\n"
	if want := received + "Subject: x\r\n\r\n..y\r\n"; string(p.body) != want || p.got.Size != int64(len(want))-1 {
		t.Errorf("%q, size %d", p.body, p.got.Size)
	}

	p.body = nil
	m = in.New("ann@far.example")
	m.Recipient(rcpt(t, "team@a.example"))
	e := End{Size: 9}
	e.Envelope.Body = smtp.BodyBinaryMIME // how the message came, not how it is stored
	if _, err := m.Copy(context.Background(), &pieces{"A: b\r\n\r\n", "..\r\n"}, 1, &e); err != nil || string(p.body) != "A: b\r\n\r\n..\r\n" || p.got.Size != 9 {
		t.Errorf("%v %q, size %d", err, p.body, p.got.Size)
	}
	if trace := string(p.got.Recipients[0].Trace); !strings.HasPrefix(trace, "Return-Path: <ann@far.example>\r\nDelivered-To: ") {
		t.Errorf("%q", trace)
	}
	m = in.New("")
	m.Recipient(rcpt(t, "alice@a.example"))
	p.got, p.discarded = nil, false
	if _, err := m.Copy(context.Background(), &pieces{"A: b\r\n\r\n", ""}, 1, &End{}); !errors.Is(err, storage.ErrCorrupt) || p.got != nil || !p.discarded {
		t.Error(err, p.discarded)
	}
}

// A message from an untrusted client is copied once, into the draft, and allocates nothing.
func TestMessageAllocatesNothing(t *testing.T) {
	p := newPlace()
	c := newClient(p.entrance())
	c.m.in.Inbox = sink{&p.body}
	mail, _ := smtp.ParseMail([]byte("FROM:<ann@a.example>"), 0)
	to := rcpt(t, "alice@a.example")
	from := From{Received: message.Received{Host: "mx.a.example"}, Head: &c.head, At: at}
	text := []byte("A: b\r\n\r\nx\r\n")
	place := func() {
		c.m.Begin(mail.From, false)
		c.m.Recipient(to)
	}
	routed := testing.AllocsPerRun(100, place) // by the directory
	allocs := testing.AllocsPerRun(100, func() {
		p.body = p.body[:0]
		place()
		c.m.Open(&from)
		c.m.Append(text)
		c.m.Finish(&End{Size: int64(len(text))})
		<-c.outcomes
		c.m.Reset()
	})
	if allocs > routed || routed > 1 {
		t.Errorf("%v allocations a message, %v of them to route it", allocs, routed)
	}
}

// sink is an inbox that keeps the body only.
type sink struct{ body *[]byte }

func (s sink) Admit(int64) error            { return nil }
func (s sink) NewDraft(int64) storage.Draft { return s }
func (s sink) Deliver(d *storage.Delivery)  { d.Done(d, storage.NewReceipt(1), nil) }
func (s sink) ID() storage.MessageID        { return 1 }
func (s sink) Append(run []byte)            { *s.body = append(*s.body, run...) }
func (s sink) Backlog() int64               { return 0 }
func (s sink) Notify(_ int64, f func())     { f() }
func (s sink) Discard()                     {}

// Any header is stored or refused in the same way however it is cut. The size is that of
// the stored message, which ends where the client's message ended.
func FuzzMessage(f *testing.F) {
	f.Add("Subject: x\r\nBcc: a@b\r\n\r\nbody\r\n", uint8(3), true)
	f.Add("From: bob@a.example\r\n", uint8(1), true)
	f.Add("..\r\n\r\n.x\r\n", uint8(2), false)
	f.Add("To: a, b\r\nDate:\r\nX: "+strings.Repeat("y", 5<<10)+"\r\n\r\nz\r\n", uint8(200), true)
	f.Fuzz(func(t *testing.T, text string, n uint8, login bool) {
		var form dot.Normalizer
		wire := string(form.End(form.Append(nil, []byte(text))))
		from := From{}
		if login {
			from = From{Account: 1, User: "alice@a.example"}
		}
		send := func(n int) (body []byte, refusal *smtp.Reply) {
			p := newPlace()
			o, refusal := newClient(p.entrance()).send(t, from, true, wire, n, "bob@a.example")
			if refusal != nil {
				if p.got != nil || !p.discarded {
					t.Fatalf("refused with %v, and kept", refusal)
				}
				return nil, refusal
			}
			if o.err != nil || o.r.ID() != 42 {
				t.Fatal(o)
			}
			if size := len(dot.AppendUnstuffed(nil, p.body)); p.got.Size != int64(size) {
				t.Fatalf("%q: size %d, want %d", p.body, p.got.Size, size)
			}
			if !bytes.HasSuffix(p.body, []byte("\r\n")) || bytes.Contains(p.body, []byte("\r\n.\r\n")) {
				t.Fatalf("%q is no wire form", p.body)
			}
			return p.body, nil
		}
		whole, refusal := send(max(len(wire), 1))
		cut, other := send(max(int(n), 1))
		if len(wire) > 4<<10 {
			return // a line without a field ends the header only at its own end, which may be too late
		}
		if !bytes.Equal(whole, cut) || (refusal == nil) != (other == nil) || refusal != nil && refusal.Text != other.Text {
			t.Fatalf("whole %q %v\ncut in %d %q %v", whole, refusal, n, cut, other)
		}
		if !login && refusal == nil && !strings.HasSuffix(string(whole), wire) {
			t.Fatalf("%q became %q", wire, whole)
		}
	})
}
