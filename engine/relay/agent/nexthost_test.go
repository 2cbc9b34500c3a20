package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// pair is a domain with two hosts, 127.0.0.2 before 127.0.0.3.
var pair = []string{
	"pair.test. 300 IN MX 10 one.pair.test.", "pair.test. 300 IN MX 20 two.pair.test.",
	"one.pair.test. 300 IN A 127.0.0.2", "two.pair.test. 300 IN A 127.0.0.3",
}

// sendTo queues one message for several recipients at once.
func (b *bed) sendTo(arrival time.Time, text string, to ...string) {
	b.t.Helper()
	var places router.Placement
	for _, path := range to {
		rcpt, refused := smtp.ParseRcpt([]byte("TO:<"+path+">"), 0, true)
		if refused != nil {
			b.t.Fatal(refused)
		}
		if o := places.Add(b.router, &rcpt, true); o != router.NotOurs {
			b.t.Fatalf("%s: %v", path, o)
		}
	}
	places.Seal(storage.Envelope{ReversePath: "joe@client.test", SMTPUTF8: strings.Contains(text, "SMTPUTF8")})
	if err := b.deliver(&storage.Delivery{Arrival: arrival, Relayed: places.Relayed}, []byte(text)); err != nil {
		b.t.Fatal(err)
	}
}

// queued returns the recipients that are in the queue, each with its status and reason.
func (b *bed) queued() (left map[string]string, attempts int) {
	left = make(map[string]string)
	_ = b.store.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool {
		attempts = max(attempts, e.Attempts)
		for i := range e.Recipients {
			r := &e.Recipients[i]
			left[r.ForwardPath] = e.StatusOf(r) + " " + e.ReasonOf(r)
		}
		return true
	})
	return left, attempts
}

// empty waits until nothing is left in the queue.
func (b *bed) empty() {
	b.t.Helper()
	b.until("the queue is empty", func() bool {
		n, _ := b.store.QueueTotal()
		return n == 0
	})
}

// noRetry puts retries so late that mail can only arrive by the first attempt.
func noRetry(set *Settings) { set.Policy.Retry = []time.Duration{time.Hour} }

// RFC 5321 section 5.1: after a temporary refusal at any command the same attempt tries the
// next host.
func TestNextHost(t *testing.T) {
	for stage, rule := range map[string][2]string{
		"greeting":     {"GREETING", "450 4.3.2 full"},
		"greeting-421": {"GREETING", "421 4.3.2 load"},
		"greeting-554": {"GREETING", "554 not you"},
		"hang-up":      {"GREETING", "hang up"},
		"ehlo":         {"EHLO", "451 4.3.0 no DNS"},
		"mail":         {"MAIL", "452 4.3.1 no disk"},
		"mail-421":     {"MAIL", "421 4.3.0 restart"},
		"rcpt":         {"RCPT", "450 4.7.1 greylisted"},
		"rcpt-quota":   {"RCPT", "452-4.2.2 the mailbox\r\n452 4.2.2 is full"},
		"data":         {"DATA", "451 4.3.5 milter"},
		"end":          {".", "451 4.7.1 scanner"},
		"end-421":      {".", "421 4.3.2 load"},
	} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, noRetry, pair...)
			startScripted(t, b.at(2), map[string]string{rule[0]: rule[1]})
			second := startScripted(t, b.at(3), nil)
			b.send("ann@pair.test")
			if n, _ := second.taken(); n != 1 {
				t.Errorf("the second host has %d messages", n)
			}
			var dead int
			b.Sites(func(s queue.SiteStatus) {
				if !s.DeadTill.IsZero() {
					dead++
				}
			})
			if dead > 0 {
				t.Error("the site is dead")
			}
		})
	}
}

// A permanent refusal is final, and no other host is tried for that recipient. The other
// recipients of the message go on by themselves.
func TestNextHost_EachRecipient(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, noRetry, pair...)
	first := startScripted(t, b.at(2), map[string]string{"RCPT gone": "550 5.1.1 no such user", "RCPT full": "452 4.2.2 full", "RCPT busy": "450 4.2.0 busy"})
	second := startScripted(t, b.at(3), map[string]string{"RCPT busy": "451 4.3.0 busy here too"})
	b.sendTo(time.Now(), "Subject: x\r\n\r\nx\r\n", "fine@pair.test", "full@pair.test", "gone@pair.test", "busy@pair.test")
	var left map[string]string
	b.until("one is left after an attempt", func() bool {
		attempts := 0
		left, attempts = b.queued()
		return attempts == 1 && len(left) == 1
	})
	wantText(t, left["busy@pair.test"], "4.3.0 host two.pair.test[127.0.0.3] said: 451 4.3.0 busy here too (in reply to RCPT TO command)", "; also tried: one.pair.test[127.0.0.2]")
	if n, text := first.taken(); n != 1 || strings.Contains(text, "TO:<full") || !strings.Contains(text, "TO:<fine") {
		t.Errorf("the first host has %d messages: %s", n, text)
	}
	if n, text := second.taken(); n != 1 || !strings.Contains(text, "TO:<full") || strings.Contains(second.commands(), "fine") || strings.Contains(second.commands(), "gone") {
		t.Errorf("the second host has %d messages: %s\n%s", n, text, second.commands())
	}
	b.wantLog(fmt.Sprintf("to=<full@pair.test>, relay=two.pair.test[127.0.0.3]:%d", b.port))
	b.wantLog(fmt.Sprintf("to=<fine@pair.test>, relay=one.pair.test[127.0.0.2]:%d", b.port))
	b.wantLog(fmt.Sprintf("to=<gone@pair.test>, relay=one.pair.test[127.0.0.2]:%d", b.port))
}

// A host that may have the message is the last one that is tried: another host would
// deliver it a second time.
func TestNextHost_Doubt(t *testing.T) {
	for name, rule := range map[string]string{"hang-up": "hang up", "garbage": "what?", "silence": "silence"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, func(set *Settings) {
				noRetry(set)
				set.Reply = time.Second
			}, pair...)
			startScripted(t, b.at(2), map[string]string{".": rule, "RCPT full": "452 4.2.2 full"})
			second := startScripted(t, b.at(3), nil)
			b.sendTo(time.Now(), "Subject: x\r\n\r\nx\r\n", "ann@pair.test", "full@pair.test")
			var left map[string]string
			b.until("it is deferred", func() bool {
				attempts := 0
				left, attempts = b.queued()
				return attempts > 0
			})
			wantText(t, left["ann@pair.test"], "not tried: two.pair.test[127.0.0.3]")
			if n := second.connections(); n != 0 || len(left) != 2 {
				t.Errorf("the second host was asked %d times; left: %v", n, left)
			}
		})
	}
}

// The last reply of a host is kept, though a later host can't be reached, and the history
// has the replies of all.
func TestNextHost_Words(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, noRetry, append(pair, "pair.test. 300 IN MX 30 three.pair.test.", "three.pair.test. 300 IN A 127.0.0.4")...)
	startScripted(t, b.at(2), map[string]string{"MAIL": "451 4.3.0 first"})
	startScripted(t, b.at(3), map[string]string{"DATA": "451 4.3.0 second"})
	why := b.deferred("ann@pair.test") // nothing listens at 127.0.0.4
	wantText(t, why, "4.3.0 host two.pair.test[127.0.0.3] said: 451 4.3.0 second (in reply to DATA command)", "also tried: one.pair.test[127.0.0.2], three.pair.test[127.0.0.4]")
	var all []string
	_ = b.store.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool {
		return b.store.History(e.ID.Message, func(r storage.Record) bool {
			all = append(all, r.Text)
			return true
		}) == nil
	})
	wantText(t, strings.Join(all, "\n"),
		fmt.Sprintf("tried one.pair.test[127.0.0.2]:%d, in clear text: 451 4.3.0 first (in reply to MAIL FROM command)", b.port),
		fmt.Sprintf("tried two.pair.test[127.0.0.3]:%d, in clear text: 451 4.3.0 second (in reply to DATA command)", b.port),
		fmt.Sprintf("tried three.pair.test[127.0.0.4]:%d: connection refused", b.port))
}

// A kept connection does not change this: a recipient that its host defers goes to the next
// host, and the first host is not tried again.
func TestNextHost_Reused(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, func(set *Settings) {
		noRetry(set)
		set.Idle = time.Minute
		set.ConnectionsPerDestination, set.InitialConnections = 1, 1
	}, pair...)
	first := startScripted(t, b.at(2), map[string]string{"RCPT full": "452 4.2.2 full"})
	second := startScripted(t, b.at(3), nil)
	b.send("ann@pair.test")
	b.send("full@pair.test")
	if n, _ := first.taken(); n != 1 || first.connections() != 1 || strings.Count(first.commands(), "full") != 1 {
		t.Errorf("the first host has %d messages by %d connections:\n%s", n, first.connections(), first.commands())
	}
	if n, text := second.taken(); n != 1 || !strings.Contains(text, "full") {
		t.Errorf("the second host has %d messages:\n%s", n, text)
	}
	if n := b.Stats.Reused.Load(); n != 1 {
		t.Errorf("%d reused", n)
	}
}

// Smarthosts are tried in turn too: by their MX records, and by one name with several
// addresses.
func TestNextHost_Smarthost(t *testing.T) {
	for name, rule := range map[string]string{"by-mx": "pair.test", "by-host": "[many.test]"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, func(set *Settings) {
				noRetry(set)
				set.Rules = transports("elsewhere.test=" + rule)
			}, append(pair, "many.test. 300 IN A 127.0.0.2", "many.test. 300 IN A 127.0.0.3", "many.test. 300 IN A 127.0.0.4")...)
			startScripted(t, b.at(2), map[string]string{"MAIL": "450 4.3.2 not now"})
			third := startScripted(t, b.at(3), nil)
			b.send("eve@elsewhere.test")
			if n, _ := third.taken(); n != 1 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// The connection is kept for the next message where there is no other host.
func TestNextHost_None(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, func(set *Settings) {
		noRetry(set)
		set.Idle = time.Minute
		set.ConnectionsPerDestination, set.InitialConnections = 1, 1
	}, "solo.test. 300 IN A 127.0.0.2")
	h := startScripted(t, b.at(2), map[string]string{"RCPT full": "452 4.2.2 full"})
	if why := b.deferred("full@solo.test"); strings.Contains(why, "tried") {
		t.Error(why)
	}
	b.submit("ann@solo.test")
	b.until("the other message is delivered", func() bool {
		n, _ := h.taken()
		return n == 1
	})
	if n := h.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// inOrder keeps places for the other IP version, and loses and doubles no address.
func TestInOrder(t *testing.T) {
	f := func(have, want string) {
		t.Helper()
		var hosts []mx.Host
		for i, c := range have {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			if c == '6' {
				a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)})
			}
			hosts = append(hosts, mx.Host{Name: string(rune('a' + i)), Addr: netip.AddrPortFrom(a, 25)})
		}
		got := ""
		for _, h := range inOrder(hosts, netip.AddrPort{}) {
			got += h.Name
		}
		if got != want {
			t.Errorf("%s: %s, want %s", have, got, want)
		}
	}
	f("", "")
	f("6", "a")
	f("66664", "abcde")
	f("6666664", "abcdgef")
	f("666666446", "abcghdefi")
	f("444444446", "abcdiefgh")
	f("466666666", "abcdefghi")
	f("4444446464", "abcgidefhj")
	f("6464646464", "abcdefghij")
	f("644464", "abcdef")
	f("666646644", "abcehdfgi")
}

// inOrder leaves out the address that was tried already.
func TestInOrder_Been(t *testing.T) {
	hosts := []mx.Host{{Name: "a", Addr: netip.MustParseAddrPort("192.0.2.1:25")}, {Name: "b", Addr: netip.MustParseAddrPort("192.0.2.2:25")}}
	got := inOrder(hosts, hosts[0].Addr)
	if len(got) != 1 || got[0].Name != "b" || hosts[0].Name != "a" {
		t.Errorf("%v %v", got, hosts)
	}
}

// Addresses without a route don't count as tries: here they are broadcast addresses, to
// which the system refuses connections.
func TestNextHost_NoRoute(t *testing.T) {
	t.Parallel()
	records := []string{}
	for i := range 9 {
		records = append(records, fmt.Sprintf("far.test. 300 IN MX %d h%d.far.test.", i, i), fmt.Sprintf("h%d.far.test. 300 IN A 127.255.255.255", i))
	}
	records = append(records, "far.test. 300 IN MX 90 last.far.test.", "last.far.test. 300 IN A 127.0.0.5")
	b := newBed(t, nil, 0, noRetry, records...)
	last := startScripted(t, b.at(5), nil)
	b.send("ann@far.test")
	if n, _ := last.taken(); n != 1 {
		t.Errorf("%d messages", n)
	}
	for _, e := range []error{syscall.ENETUNREACH, syscall.EADDRNOTAVAIL} {
		if !isLocalFault(e) {
			t.Error(e)
		}
	}
	if isLocalFault(syscall.ECONNREFUSED) || isLocalFault(syscall.ETIMEDOUT) {
		t.Error("a host's answer is taken for this machine's")
	}
}
