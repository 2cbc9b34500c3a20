package server

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/storage"
)

// moody is a store that can't take every tenth message at first.
type moody struct {
	storage.Store
	seen     atomic.Int64
	declined atomic.Int64
}

func (m *moody) Deliver(d *storage.Delivery) {
	if m.seen.Add(1)%10 == 0 && m.declined.Load() < 20 {
		m.declined.Add(1)
		d.Draft.Discard()
		d.Done(d, storage.Receipt{}, storage.ErrTemporary)
		return
	}
	m.Store.Deliver(d)
}

// pair is a server that relays to another one: mail for b.test.
func pair(t *testing.T, set func(*config.Config)) (from, to *fixture, mood *moody) {
	t.Helper()
	mood = new(moody)
	to = start(t, func(c *config.Config) { c.SMTP.MaxMessages = 7 }, func(s storage.Store) storage.Store {
		mood.Store = s
		return mood
	})
	if err := to.store.AddDomain("b.test"); err != nil {
		t.Fatal(err)
	}
	if err := to.store.SetAliases([]storage.Alias{{Name: "bob", Domain: "b.test", Targets: []string{"mbrain@localhost"}}}); err != nil {
		t.Fatal(err)
	}
	from = start(t, func(c *config.Config) {
		c.Relay.Transports = []string{"b.test=[127.0.0.1]:" + fmt.Sprint(to.SMTPAddrs()[0].Port())}
		c.Relay.Retry = []time.Duration{50 * time.Millisecond}
		if set != nil {
			set(c)
		}
	}, nil)
	return from, to, mood
}

// drained waits until the queue is empty.
func (f *fixture) drained(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(20 * time.Millisecond) {
		n, _ := f.store.QueueTotal()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			_ = f.store.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool {
				t.Logf("%s to %s: %s %s", e.ID, e.Domain, e.Status, e.Reason)
				return true
			})
			t.Fatalf("%d entries are left in the queue", n)
		}
	}
}

// bodies reads all messages of a maildrop.
func (f *fixture) bodies(t *testing.T, user string) (all []string) {
	t.Helper()
	p := f.login(t, user)
	var n int
	if _, err := fmt.Sscanf(p.say("STAT", "+OK"), "+OK %d", &n); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		p.say(fmt.Sprintf("RETR %d", i+1), "+OK")
		all = append(all, p.listing())
	}
	p.say("QUIT", "+OK")
	return all
}

// Many messages over many connections, some of which are declined at first and
// some cut off after seven messages: each arrives, and arrives once.
func TestRelayToAnotherServer(t *testing.T) {
	from, to, mood := pair(t, nil)
	const sessions, each = 10, 20
	var senders sync.WaitGroup
	for s := range sessions {
		senders.Go(func() {
			p := from.dialSMTP(t)
			p.expect("220 ")
			p.say("EHLO client.test", "250 ")
			for i := range each {
				p.send("MAIL FROM:<mbrain@localhost>\r\nRCPT TO:<bob@b.test>\r\nDATA\r\n")
				p.expect("250 ")
				p.expect("250 ")
				p.expect("354 ")
				p.say(fmt.Sprintf("Subject: %d-%d\r\n\r\n..dot\r\n.", s, i), "250 ")
			}
		})
	}
	senders.Wait()
	from.drained(t)
	got := make(map[string]int)
	for _, m := range to.bodies(t, "mbrain") {
		_, rest, _ := strings.Cut(m, "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		got[subject]++
		if !strings.HasSuffix(m, "\r\n\r\n.dot\r\n") {
			t.Errorf("the message came as %q", m)
		}
	}
	for s := range sessions {
		for i := range each {
			if key := fmt.Sprintf("%d-%d", s, i); got[key] != 1 {
				t.Errorf("message %s arrived %d times", key, got[key])
			}
		}
	}
	if mood.declined.Load() == 0 {
		t.Error("nothing was declined, so no retry was tested")
	}
	if from.courier.Stats.Reused.Load() == 0 {
		t.Error("no connection was used twice")
	}
	if sent := from.courier.Stats.Sent.Load(); sent != sessions*each {
		t.Errorf("%d recipients were counted as sent", sent)
	}
}

// A recipient that the other host refuses comes back to the sender's maildrop; one
// beside it that is taken does not.
func TestBounceArrives(t *testing.T) {
	from, to, _ := pair(t, nil)
	p := from.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost> RET=HDRS ENVID=env+2D1", "250 ")
	p.say("RCPT TO:<bob@b.test>", "250 ")
	p.say("RCPT TO:<nobody@b.test> ORCPT=rfc822;first@b.test", "250 ")
	p.say("RCPT TO:<quiet@b.test> NOTIFY=NEVER", "250 ")
	p.say("DATA", "354 ")
	p.say("Subject: both\r\n\r\nsecret text\r\n.", "250 ")
	from.drained(t)
	if n := len(to.bodies(t, "mbrain")); n != 1 {
		t.Errorf("%d messages arrived", n)
	}
	mail := from.bodies(t, "mbrain")
	if len(mail) != 1 {
		t.Fatalf("%d notifications", len(mail))
	}
	for _, want := range []string{
		"Return-Path: <>\r\n", "Final-Recipient: rfc822; nobody@b.test\r\n", "Original-Recipient: rfc822; first@b.test\r\n",
		"Action: failed\r\n", "Status: 5.1.1\r\n", "Original-Envelope-Id: env-1\r\n", "Subject: both\r\n", "User unknown",
	} {
		if !strings.Contains(mail[0], want) {
			t.Errorf("the notification has no %q:\n%s", want, mail[0])
		}
	}
	for _, no := range []string{"secret text", "quiet@b.test", "bob@b.test"} {
		if strings.Contains(mail[0], no) {
			t.Errorf("the notification has %q:\n%s", no, mail[0])
		}
	}
}

// Success is told of when it is asked for: by us for a maildrop of ours, by the
// other host for one of its own.
func TestSuccessIsToldOf(t *testing.T) {
	from, to, _ := pair(t, nil)
	p := from.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<jsmith@localhost> NOTIFY=SUCCESS", "250 ")
	p.say("DATA", "354 ")
	p.say("Subject: here\r\n\r\nx\r\n.", "250 ")
	from.drained(t)
	if n := len(from.bodies(t, "jsmith")); n != 1 {
		t.Errorf("%d messages arrived", n)
	}
	mail := from.bodies(t, "mbrain")
	if len(mail) != 1 || !strings.Contains(mail[0], "Action: delivered\r\n") || !strings.Contains(mail[0], "Final-Recipient: rfc822; jsmith@localhost\r\n") {
		t.Errorf("%q", mail)
	}
	_ = to
}

// An alias of ours may lead elsewhere. A client that sends to it need not be one that may
// relay.
func TestAnAliasLeadsElsewhere(t *testing.T) {
	from, to, _ := pair(t, func(c *config.Config) { c.Relay.Networks = nil })
	if err := from.store.SetAliases([]storage.Alias{{Name: "out", Domain: "localhost", Targets: []string{"bob@b.test", "jsmith@localhost"}}}); err != nil {
		t.Fatal(err)
	}
	p := from.dialSMTP(t)
	p.expect("220 ")
	p.say("HELO client.test", "250 ")
	p.say("MAIL FROM:<stranger@else.test>", "250 ")
	p.say("RCPT TO:<bob@b.test>", "554 5.7.1 ")
	p.say("RCPT TO:<out@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.say("Subject: x\r\n\r\nx\r\n.", "250 ")
	from.drained(t)
	if n := len(to.bodies(t, "mbrain")); n != 1 {
		t.Errorf("%d messages arrived elsewhere", n)
	}
	if n := len(from.bodies(t, "jsmith")); n != 1 {
		t.Errorf("%d messages arrived here", n)
	}
}

// A bounce that can't be delivered reaches the postmaster, once; one of that is
// dropped.
func TestABounceOfABounce(t *testing.T) {
	from, _, _ := pair(t, nil)
	for _, sender := range []string{"", "double-bounce@mx.test", "nobody-here@localhost"} {
		p := from.dialSMTP(t)
		p.expect("220 ")
		p.say("EHLO client.test", "250 ")
		p.say("MAIL FROM:<"+sender+">", "250 ")
		p.say("RCPT TO:<nobody@b.test>", "250 ")
		p.say("DATA", "354 ")
		p.say("Subject: from "+sender+"\r\n\r\nx\r\n.", "250 ")
		p.say("QUIT", "221 ")
	}
	from.drained(t)
	mail := from.bodies(t, "postmaster")
	if len(mail) != 2 {
		t.Fatalf("the postmaster got %d messages, want those of <> and of the sender that does not exist", len(mail))
	}
	for _, m := range mail {
		if !strings.Contains(m, "Return-Path: <double-bounce@mx.test>\r\n") {
			t.Errorf("%.500s", m)
		}
	}
	if n := from.courier.Stats.Dropped.Load(); n != 1 {
		t.Errorf("%d notifications were dropped", n)
	}
}

// A drain does not wait for a host that hangs: what it did not answer stays queued.
func TestDrainLeavesAHangingHost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan struct{})
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Write([]byte("220 hang.test\r\n"))
		_, _ = c.Read(make([]byte, 100)) // EHLO
		close(heard)
		_, _ = c.Read(make([]byte, 100)) // the end
	}()
	f := start(t, func(c *config.Config) { c.Relay.Transports = []string{"hang.test=[127.0.0.1]:" + portOf(l)} }, nil)
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<x@hang.test>", "250 ")
	p.say("DATA", "354 ")
	p.say("x\r\n.", "250 ")
	p.say("QUIT", "221 ")
	<-heard
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		f.Drain(ctx)
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(hang):
		t.Fatal("the drain waits for the host")
	}
	if n, _ := f.store.QueueTotal(); n != 1 {
		t.Errorf("%d entries are queued", n)
	}
}

func portOf(l net.Listener) string { return fmt.Sprint(l.Addr().(*net.TCPAddr).Port) }
