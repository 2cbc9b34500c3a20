package server

import (
	"io"
	"net/netip"
	"testing"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
)

// SMTPAddrs and the methods below are the addresses of the fronts that most tests use.
func (f *fixture) SMTPAddrs() []netip.AddrPort        { return f.Addrs("smtp") }
func (f *fixture) SMTPSAddrs() []netip.AddrPort       { return f.Addrs("smtps") }
func (f *fixture) SubmissionAddrs() []netip.AddrPort  { return f.Addrs("submission") }
func (f *fixture) SubmissionsAddrs() []netip.AddrPort { return f.Addrs("submissions") }
func (f *fixture) POP3Addrs() []netip.AddrPort        { return f.Addrs("pop3") }
func (f *fixture) POP3SAddrs() []netip.AddrPort       { return f.Addrs("pop3s") }

// Every front has an opener and addresses of the configuration, and a name of its own.
func TestFrontsHaveTheirListeners(t *testing.T) {
	f := start(t, func(c *config.Config) {
		withTLS(c)
		c.Submission.Listen, c.Submission.ListenTLS = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}
	}, nil)
	seen := make(map[string]bool)
	for _, l := range f.Listening() {
		if seen[l.Name] || len(l.Addrs()) == 0 {
			t.Errorf("%s listens at %v", l.Name, l.Addrs())
		}
		seen[l.Name] = true
		p := dial(t, l.Addrs()[0].String())
		p.Close()
	}
	if len(seen) != len(fronts) {
		t.Errorf("%d of %d fronts listen", len(seen), len(fronts))
	}
}

// A package joins the server with a name, an opener and its addresses.
func TestAFrontJoins(t *testing.T) {
	f := start(t, nil, nil)
	hello := front{name: "hello", addrs: []string{"127.0.0.1:0"}, open: func(*Server, int) (conn.Opener, []byte) {
		return func(c *loop.Conn, _ netip.AddrPort) loop.Handler {
			c.Write([]byte("hello\r\n"))
			c.Close()
			return conn.Refused{}
		}, nil
	}}
	joined, err := f.join(hello, hello.fixed())
	if err != nil {
		t.Fatal(err)
	}
	all := append(f.Listening(), joined)
	f.listening.Store(&all)
	p := dial(t, f.Addrs("hello")[0].String())
	if text, err := io.ReadAll(p.r); err != nil || string(text) != "hello\r\n" {
		t.Errorf("%q, %v", text, err)
	}
	f.Drain(t.Context())
}
