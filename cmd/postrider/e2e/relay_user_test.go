package e2e

import (
	"slices"
	"strings"
	"testing"

	"postrider/bench"
	"postrider/engine/edge/dns/dnstest"
)

// outward are the tricks that name a mailbox of another host and say so (RFC 5321
// sections 4.1.2 and 3.6.1: a source route is ignored), and where their mail goes.
// A logged-in user may send to them.
var outward = map[string]string{
	"<v@victim.test>": "v@victim.test", "<v@VICTIM.TEST>": "v@victim.test", "<v@localhost.victim.test>": "v@localhost.victim.test",
	`<"v"@victim.test>`: "v@victim.test", `<"reader@localhost"@victim.test>`: `"reader@localhost"@victim.test`,
	"<postmaster@victim.test>": "postmaster@victim.test", "<localhost!v@victim.test>": "localhost!v@victim.test",
	"<@localhost:v@victim.test>": "v@victim.test", "<@mx.localhost:v@victim.test>": "v@victim.test",
	"<@localhost,@victim.test:v@victim.test>": "v@victim.test", "<v@victim.test.>": "v@victim.test", "v@victim.test": "v@victim.test",
	"<v@[127.0.0.2]>": "v@[127.0.0.2]", "<v@[IPv6:::ffff:127.0.0.2]>": "v@[ipv6:::ffff:127.0.0.2]",
	"<v@127.0.0.2>": "", // no such domain: it comes back
}

// A login opens the way to other hosts, and nothing else: what is refused to a
// stranger for its form or its local part is refused to an account too, and no local
// part is ever read as a way to go on.
func TestRelayOfAnAccountGoesWhereItSays(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2")
	names := dnstest.Start(t, "victim.test. 300 IN A 127.0.0.2", "*.victim.test. 300 IN A 127.0.0.2")
	s := newServer(t, "writer", "reader")
	s.configure(relayConfig(names, port, `networks = ["192.0.2.0/24"]`) + "[smtp]\nmax_errors = 1000\n")
	s.start()
	c := s.loggedIn("writer")
	want := map[string]int{}
	for _, trick := range tricks {
		reply := tryRelay(t, c, "<writer@localhost>", trick)
		to, may := outward[trick]
		if may != (reply.Code == 250) || !may && (reply.Code < 500 || reply.Code > 559) {
			t.Errorf("RCPT TO:%s is answered by %s", trick, reply)
		}
		if may && to != "" {
			want[to]++
		}
	}
	s.emptied()
	for _, m := range hosts[0].messages() {
		to, _, _ := strings.Cut(m.to[0], " ")
		to = strings.ToLower(strings.Trim(to, "<>"))
		if len(m.to) != 1 || m.from != "<writer@localhost>" && !strings.HasPrefix(m.from, "<writer@localhost> ") {
			t.Errorf("relayed from %s to %v", m.from, m.to)
		}
		want[to]--
	}
	for to, n := range want {
		if n != 0 {
			t.Errorf("%s got %d messages too few", to, n)
		}
	}
	if n := len(s.fetch("reader", false)); n > 0 {
		t.Errorf("%d messages went to a local part", n)
	}
	if n := len(s.fetch("writer", false)); n != 1 {
		t.Errorf("%d messages came back", n)
	}
}

// An account sends as itself only, whatever the reverse-path looks like.
func TestRelayOfAnAccountIsFromThatAccount(t *testing.T) {
	t.Parallel()
	s := newServer(t, "writer", "reader")
	s.run("alias", "add", "sales", "writer@localhost")
	s.run("alias", "add", "all", "reader@localhost", "writer@localhost")
	s.configure("[smtp]\nmax_errors = 1000\n[relay]\nnetworks = [\"192.0.2.0/24\"]\n")
	s.start()
	c := s.loggedIn("writer")
	f := func(from string, codes ...int) {
		t.Helper()
		if err := c.Send([]byte("MAIL FROM:" + from + "\r\n")); err != nil {
			t.Fatal(err)
		}
		reply, err := c.ReadReply()
		if err != nil {
			t.Fatalf("after %q: %v", from, err)
		}
		if !slices.Contains(codes, reply.Code) {
			t.Errorf("MAIL FROM:%s is answered by %s", from, reply)
		}
		if err := c.Cmd(250, "RSET"); err != nil {
			t.Fatal(err)
		}
	}
	for _, own := range []string{
		"<writer@localhost>", "<WRITER@LocalHost>", "<writer+list@localhost>", `<"writer"@localhost>`, "<sales@localhost>", "<all@localhost>",
		"<>", "<writer@localhost> AUTH=<reader@localhost>", "<@victim.test:writer@localhost>",
	} {
		f(own, 250)
	}
	for _, foreign := range []string{
		"<reader@localhost>", "<READER@LOCALHOST>", "<reader+x@localhost>", `<"reader"@localhost>`, "<reader@localhost> AUTH=<writer@localhost>",
		"<@localhost:reader@localhost>", "<writer@victim.test>", "<v@victim.test>", "<writer%localhost@victim.test>",
		`<"writer@localhost"@victim.test>`, "<victim.test!writer@localhost>", "<writer%victim.test@localhost>", `<"writer@victim.test"@localhost>`,
		"<postmaster@localhost>", "<nobody@localhost>", "<writer@[127.0.0.2]>", "<writer@mx.localhost.victim.test>", "<writer+reader@victim.test>",
		"<reader@[127.0.0.1]>", "<@writer@localhost:reader@localhost>", "<reader@localhost,writer@localhost>", "<writer@localhost>,<reader@localhost>",
		"<writer@localhost@victim.test>", "writer@localhost <v@victim.test>", "<writer@localhost\x00@victim.test>", "<reader@localhost>\rMAIL FROM:<writer@localhost>",
	} {
		f(foreign, 553, 501, 500, 550)
	}
}

// loggedIn opens a session in which an account has logged in.
func (s *server) loggedIn(account string) *bench.SMTPConn {
	s.t.Helper()
	c, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if err := c.Cmd(235, "AUTH PLAIN "+encoded("\x00"+account+"\x00"+password(account))); err != nil {
		s.t.Fatal(err)
	}
	return c
}
