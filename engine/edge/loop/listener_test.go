package loop

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestListen_Families(t *testing.T) {
	for _, test := range []struct {
		listen string
		reach  []string
		refuse []string
	}{
		{"127.0.0.1:0", []string{"127.0.0.1"}, []string{"::1"}},
		{"0.0.0.0:0", []string{"127.0.0.1"}, []string{"::1"}},
		{"[::1]:0", []string{"::1"}, []string{"127.0.0.1"}},
		{"[::]:0", []string{"::1"}, []string{"127.0.0.1"}},
		{":0", []string{"127.0.0.1", "::1"}, nil},
	} {
		g := group(t, Config{})
		type ends struct{ remote, local netip.AddrPort }
		seen := make(chan ends, 1)
		lis, err := g.Listen(test.listen, nil, func(c *Conn) Handler {
			seen <- ends{c.RemoteAddr(), localAddr(int(c.fd))}
			return &script{}
		})
		if err != nil && strings.Contains(test.listen, "::") {
			t.Logf("no IPv6 here: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		at := func(host string) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr(host), lis.Addr().Port())
		}
		for _, host := range test.reach {
			conn, err := net.Dial("tcp", at(host).String())
			if err != nil {
				t.Errorf("%s: %s: %v", test.listen, host, err)
				continue
			}
			got := receive(t, seen)
			if got.local != at(host) || got.remote.String() != conn.LocalAddr().String() {
				t.Errorf("%s: %s: seen as %v", test.listen, host, got)
			}
			conn.Close()
		}
		for _, host := range test.refuse {
			if conn, err := net.Dial("tcp", at(host).String()); err == nil {
				conn.Close()
				t.Errorf("%s: %s was let in", test.listen, host)
			}
		}
	}
}

func TestListen_ErrorsArePlain(t *testing.T) {
	g, lis := serve(t, Config{}, echo)
	for addr, want := range map[string]string{
		lis.Addr().String():   "address already in use",
		"127.0.0.1":           "missing port",
		"192.0.2.1:0":         "cannot assign requested address",
		"127.0.0.1:nosuch-xy": "unknown port",
	} {
		_, err := g.Listen(addr, nil, echo)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
}

func TestListen_OptionsAreInherited(t *testing.T) {
	conns := make(chan *Conn, 1)
	_, lis := serve(t, Config{RecvBuffer: 64 << 10, NotSentLowat: 32 << 10}, func(c *Conn) Handler {
		conns <- c
		return &script{}
	})
	dial(t, lis)
	c := receive(t, conns)
	on(t, c.Loop(), func() {
		for _, opt := range []struct{ level, name, want int }{
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 32 << 10},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepIdle},
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.SOL_SOCKET, unix.SO_RCVBUF, 128 << 10}, // the kernel doubles it
		} {
			if got, err := unix.GetsockoptInt(int(c.fd), opt.level, opt.name); err != nil || got != opt.want {
				t.Errorf("option %d of level %d is %d (%v), want %d", opt.name, opt.level, got, err, opt.want)
			}
		}
		flags, _ := unix.FcntlInt(uintptr(c.fd), unix.F_GETFL, 0)
		if fdFlags, _ := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); flags&unix.O_NONBLOCK == 0 || fdFlags&unix.FD_CLOEXEC == 0 {
			t.Error("not non-blocking and close-on-exec")
		}
	})
}

func TestAccepting_StopsAndResumes(t *testing.T) {
	var opened atomic.Int32
	g, lis := serve(t, Config{}, func(c *Conn) Handler {
		opened.Add(1)
		return echo(c)
	})
	old := dial(t, lis)
	send(t, old, "a")
	expect(t, old, "a")
	lis.Accepting(false)
	lis.Accepting(false)
	turns(t, g)
	waiting := dial(t, lis) // the kernel takes it
	send(t, waiting, "b")
	turns(t, g)
	send(t, old, "c")
	expect(t, old, "c")
	if opened.Load() != 1 {
		t.Fatal("accepted while it should not")
	}
	lis.Accepting(true)
	expect(t, waiting, "b")
}

// A new process takes the socket over while clients dial: none is refused.
func TestListenFile_HandOverRefusesNoClient(t *testing.T) {
	answer := func(s string) func(c *Conn) Handler {
		return func(c *Conn) Handler { c.Write([]byte(s)); c.Close(); return &script{} }
	}
	_, first := serve(t, Config{}, answer("1"))
	expect(t, dial(t, first), "1")

	f, err := first.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_ = f.Fd() // what exec.Cmd does with it: the socket has to stay non-blocking
	second := group(t, Config{})
	lis, err := second.ListenFile(f, nil, answer("2"))
	if err != nil {
		t.Fatal(err)
	}
	if lis.Addr() != first.Addr() {
		t.Fatalf("%v is not %v", lis.Addr(), first.Addr())
	}
	for i := range 300 {
		conn := dial(t, first)
		got := make([]byte, 1)
		if _, err := conn.Read(got); err != nil {
			t.Fatalf("dial %d: %v", i, err)
		}
		conn.Close()
		switch i {
		case 100:
			first.Accepting(false)
			turns(t, first.group)
		case 150:
			first.group.Stop()
		}
		if i > 100 && got[0] != '2' {
			t.Fatalf("dial %d: answered by %q", i, got)
		}
	}
}

func TestListenFile_RefusesWhatDoesNotListen(t *testing.T) {
	g, lis := serve(t, Config{}, echo)
	connected, err := dial(t, lis).File()
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, f := range []*os.File{connected, null} {
		if _, err := g.ListenFile(f, nil, echo); err == nil {
			t.Errorf("%s was taken for a listener", f.Name())
		}
	}
}

// With Config.MaxConns open a client gets the overload text and is closed, also while
// closed connections wait for their peers; when some have gone, clients are served.
func TestMaxConns_TurnsAwayAndGoesOn(t *testing.T) {
	g, err := New(Config{Loops: 2, MaxConns: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	lis, err := g.Listen("127.0.0.1:0", []byte("421 busy\r\n"), func(c *Conn) Handler {
		c.Write([]byte("220 hello\r\n"))
		return &script{}
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	var served []*net.TCPConn
	refused := 0
	for range 60 {
		conn := dial(t, lis)
		line, err := bufio.NewReader(conn).ReadString('\n')
		switch {
		case err != nil:
			t.Fatalf("%d served, %d refused, then %v", len(served), refused, err)
		case line == "220 hello\r\n":
			served = append(served, conn)
		case line == "421 busy\r\n":
			refused++
			if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
				t.Errorf("a client that is turned away: %q, %v", rest, err)
			}
		default:
			t.Fatalf("%q", line)
		}
	}
	if len(served) < 20 || len(served) > 21 || refused != 60-len(served) || g.Conns() != len(served) {
		t.Errorf("%d are served, %d refused; %d are open", len(served), refused, g.Conns())
	}
	for _, conn := range served {
		conn.Close()
	}
	eventually(t, "a new client is served", func() bool {
		conn := dial(t, lis)
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return line == "220 hello\r\n"
	})
}

// Clients that are refused by a handler, and stay, leave room for others.
func TestMaxConns_RefusedClientsThatStayLeaveRoom(t *testing.T) {
	g, err := New(Config{Loops: 2, MaxConns: 40, SpareConns: 10, Linger: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	lis, err := g.Listen("127.0.0.1:0", []byte("421 busy\r\n"), func(c *Conn) Handler {
		c.Write([]byte("421 come back later\r\n"))
		return nil // and the connection is closed
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	for i := range 200 {
		line, err := bufio.NewReader(dial(t, lis)).ReadString('\n')
		if err != nil || line != "421 come back later\r\n" {
			t.Fatalf("client %d hears %q, %v; %d are open", i, line, err, g.Conns())
		}
	}
	if n := g.Conns(); n < 25 || n > 32 {
		t.Errorf("%d are open", n)
	}
}

// A listener that is closed accepts no more, its connections go on, and its address is free.
// One that is configured opens later connections in another way.
func TestListener_ConfigureAndClose(t *testing.T) {
	g, lis := serve(t, Config{Loops: 2}, echo)
	answer := func(c net.Conn, text string) string {
		t.Helper()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	connect := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(hang))
		return c
	}
	first := connect()
	if got := answer(first, "one\n"); got != "one\n" {
		t.Errorf("%q", got)
	}
	lis.Configure(nil, func(*Conn) Handler {
		return &script{input: func(c *Conn, in []byte) int { c.Write([]byte(strings.ToUpper(string(in)))); return len(in) }}
	})
	second := connect()
	if got := answer(second, "two\n"); got != "TWO\n" {
		t.Errorf("%q", got)
	}
	lis.Close()
	lis.Close()
	for until := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		again, err := g.Listen(lis.Addr().String(), nil, echo)
		if err == nil {
			again.Close()
			break
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
	if got := answer(first, "three\n") + answer(second, "four\n"); got != "three\nFOUR\n" {
		t.Errorf("after the end of the listener: %q", got)
	}
}
