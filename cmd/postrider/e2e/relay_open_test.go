package e2e

import (
	"fmt"
	"strings"
	"testing"

	"postrider/bench"
	"postrider/engine/edge/dns/dnstest"
)

// The tricks by which relays were found open, as arguments of RCPT.
var tricks = []string{
	"<v@victim.test>", "<v@VICTIM.TEST>", "<v@victim.test.>", "<v@localhost.victim.test>", "v@victim.test", "< v@victim.test>", "<v@victim.test >",
	`<"v"@victim.test>`, `<"reader@localhost"@victim.test>`, "<postmaster@victim.test>",
	// source routes
	"<@localhost:v@victim.test>", "<@localhost,@victim.test:v@victim.test>", "<@mx.localhost:v@victim.test>", "<@:v@victim.test>",
	"<@localhost:@localhost:v@victim.test>", `<@victim.test:"v@victim.test"@localhost>`,
	// the percent hack
	"<v%victim.test@localhost>", "<v%victim.test@mx.localhost>", "<v%victim.test@[127.0.0.1]>", "<v%victim.test>", "<v%victim.test%localhost@localhost>",
	`<"v%victim.test"@localhost>`, "<postmaster%victim.test@localhost>", "<v@victim.test%localhost>",
	// bang paths
	"<victim.test!v@localhost>", "<victim.test!v>", "<mx.localhost!victim.test!v@localhost>", "<localhost!v@victim.test>", "<v@localhost!victim.test>",
	// more than one @
	`<"v@victim.test"@localhost>`, `<"v@victim.test"@[127.0.0.1]>`, `<"v@victim.test">`, "<v@victim.test@localhost>", "<v@localhost@victim.test>",
	`<v@localhost\@victim.test>`, `<v\@victim.test@localhost>`, "<reader+v@victim.test@localhost>", `<reader+"v@victim.test"@localhost>`,
	// addresses of hosts
	"<v@[127.0.0.2]>", "<v@127.0.0.2>", "<v@[IPv6:::ffff:127.0.0.2]>", "<v@[victim.test]>", "<v@[127.0.0.1]@victim.test>", "<v@#2130706434>",
	// two for one
	"<reader@localhost,v@victim.test>", "<reader@localhost>,<v@victim.test>", "<reader@localhost> <v@victim.test>",
	"<reader@localhost>\rRCPT TO:<v@victim.test>", "<reader@localhost\x00@victim.test>", "<v:victim.test@localhost>", "<v@localhost:victim.test>",
}

// These look alike, and are mail for an account here (RFC 5321 section 3.6.1 has
// the route ignored).
var harmless = []string{
	"<reader@localhost>", "<@victim.test:reader@localhost>", "<reader+v%victim.test@localhost>",
	"<reader@localhost> ORCPT=rfc822;v@victim.test", `<"reader"@localhost>`, "<reader@[127.0.0.1]>",
}

// No mail of an untrusted client is relayed, whatever the addresses and the sender look
// like.
func TestRelayIsNotOpen(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2")
	names := dnstest.Start(t, "victim.test. 300 IN A 127.0.0.2", "*.victim.test. 300 IN A 127.0.0.2")
	s := newServer(t, "writer", "reader")
	s.run("alias", "add", "out", "v@victim.test")
	s.configure(relayConfig(names, port, `networks = ["192.0.2.0/24"]`) + "[smtp]\nmax_errors = 1000\n")
	s.start()
	senders := []string{"<writer@localhost>", "<>", "<v@victim.test>", "<postmaster@mx.localhost>", "<@victim.test:writer@localhost>"}
	for _, from := range senders {
		c, err := bench.DialSMTP(s.smtp[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, trick := range tricks {
			if reply := tryRelay(t, c, from, trick); reply.Code < 500 || reply.Code > 559 {
				t.Errorf("MAIL FROM:%s, RCPT TO:%s is answered by %s", from, trick, reply)
			}
		}
		for _, to := range harmless {
			if reply := tryRelay(t, c, from, to); reply.Code != 250 {
				t.Errorf("MAIL FROM:%s, RCPT TO:%s is answered by %s", from, to, reply)
			}
		}
		if reply := tryRelay(t, c, from, tricks[0]); reply.String() != "554 5.7.1 Relay access denied" {
			t.Errorf("the refusal is %s", reply)
		}
		c.Close()
	}
	s.emptied()
	if n := names.Questions(); n > 0 {
		t.Errorf("%d questions were asked about where the mail of strangers could go", n)
	}
	if ms := hosts[0].messages(); len(ms) > 0 {
		t.Errorf("relayed: %+v", ms)
	}
	if n, want := len(s.fetch("reader", false)), len(senders)*len(harmless); n != want {
		t.Errorf("%d messages are in the maildrop, want %d", n, want)
	}
	if n := len(s.fetch("writer", false)); n > 0 {
		t.Errorf("%d notifications went to somebody whose name was used", n)
	}
	// The peer can be reached: by an address of ours that its owner sends on.
	s.submit(submission{from: "v@victim.test", to: []string{"out@localhost"}})
	eventually(t, "an alias leads out", func() bool { return hosts[0].got("v@victim.test") == 1 })
}

// tryRelay tries to send a message to one recipient, and returns the reply that
// decides.
func tryRelay(t *testing.T, c *bench.SMTPConn, from, to string) bench.Reply {
	t.Helper()
	say := func(line string) bench.Reply {
		if err := c.Send([]byte(line + "\r\n")); err != nil {
			t.Fatal(err)
		}
		reply, err := c.ReadReply()
		if err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
		return reply
	}
	if reply := say("MAIL FROM:" + from); reply.Code != 250 {
		t.Fatalf("MAIL FROM:%s: %s", from, reply)
	}
	reply := say("RCPT TO:" + to)
	if reply.Code == 250 {
		if reply = say("DATA"); reply.Code == 354 {
			reply = say(fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: relay\r\n\r\nrelay me\r\n.", strings.Trim(from, "<>"), "v@victim.test"))
		}
	}
	if again := say("RSET"); again.Code != 250 {
		t.Fatalf("RSET after %s: %s", to, again)
	}
	return reply
}
