package e2e

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"postrider/bench"
)

const (
	// messageMemory is limits.memory of these tests: the octets of messages that
	// may be on their way through the process.
	messageMemory = 64 << 20
	// baseMemory is what the process may hold beside that: the program, the Go
	// heap's slack, the store's cache and memtables.
	baseMemory = 192 << 20

	boundedMemory = "[limits]\nmemory = \"64MiB\"\nconnections_per_client = 20000\n\n[storage]\ncache = \"16MiB\"\nmemtable = \"8MiB\"\n\n"
)

// startBounded starts a server with limited memory.
func startBounded(t *testing.T) *server {
	s := newServer(t, "reader")
	s.configure(boundedMemory)
	s.start()
	return s
}

// inBounds wants the process never to have held more than it may, and to answer.
func inBounds(t *testing.T, s *server) {
	t.Helper()
	u := s.usage()
	t.Logf("resident: %.1f MB now, %.1f MB at the peak", float64(u.RSS)/1e6, float64(u.PeakRSS)/1e6)
	if u.PeakRSS > messageMemory+baseMemory {
		t.Errorf("the process held %d octets at its peak, over its bound of %d", u.PeakRSS, messageMemory+baseMemory)
	}
	s.send("reader", []byte("Subject: after\r\n\r\nstill there?\r\n"))
}

// blast writes 1 GB of octets, or as much as the server takes: when nothing has
// gone out for two seconds, or the server has closed, it is over.
func blast(t *testing.T, c net.Conn, octets []byte) (sent int) {
	t.Helper()
	for sent < 1<<30 {
		c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		n, err := c.Write(octets)
		sent += n
		if err != nil {
			t.Logf("the server takes %.1f MB: %v", float64(sent)/1e6, err)
			return sent
		}
	}
	t.Logf("the server takes all of %.1f MB", float64(sent)/1e6)
	return sent
}

// Clients blast 1 GB of commands and never read a reply: the session is parked
// once its replies don't drain, and what is blasted stays in the client.
func TestBlastOfCommands(t *testing.T) {
	heavy(t)
	s := startBounded(t)
	commands := bytes.Repeat([]byte("NOOP\r\n"), 200_000)
	var conns []net.Conn
	for range 2 {
		conns = append(conns, dialSMTP(t, s), login(t, s))
		for _, c := range conns[len(conns)-2:] {
			blast(t, c, commands)
		}
		conns[len(conns)-1].Close() // it holds the maildrop's lock
	}
	inBounds(t, s)
	for _, c := range conns {
		c.Close()
	}
	s.terminate()
}

// A client sends 1 GB of message text after DATA: it is refused at its end or
// cut off, and never held.
func TestBlastOfData(t *testing.T) {
	heavy(t)
	s := startBounded(t)
	c := dialSMTP(t, s)
	defer c.Close()
	for _, step := range []struct {
		code int
		line string
	}{{250, "MAIL FROM:<sender@client.example>"}, {250, "RCPT TO:<reader@localhost>"}, {354, "DATA"}} {
		if err := c.Cmd(step.code, step.line); err != nil {
			t.Fatal(err)
		}
	}
	blast(t, c, bench.Noise(1, 1<<20))
	if err := c.Send([]byte(".\r\n")); err == nil {
		if reply, err := c.ReadReply(); err == nil && reply.Code/100 == 2 {
			t.Errorf("a message of 1 GB gets %v", reply)
		}
	}
	c.Close()
	inBounds(t, s)
	if got := s.fetch("reader", true); len(got) != 1 {
		t.Errorf("%d messages are there, want the one small one", len(got))
	}
	s.terminate()
}

// Twenty clients read 100 MB in one RETR at 10 KB/s for some seconds: what they
// don't take stays in the store.
func TestSlowReader(t *testing.T) {
	heavy(t)
	accounts := make([]string, 20)
	for i := range accounts {
		accounts[i] = "slow" + string(rune('a'+i))
	}
	s := newServer(t, append(accounts, "reader")...)
	s.configure(boundedMemory + "[smtp]\nmax_size = \"128MiB\"\n")
	s.start()
	rcpts := make([]string, len(accounts))
	for i, account := range accounts {
		rcpts[i] = account + "@localhost"
	}
	c := dialSMTP(t, s)
	if reply, err := c.Deliver("sender@client.example", rcpts, bench.Noise(1, 100<<20)); err != nil || reply.Code != 250 {
		t.Fatalf("a message of 100 MB gets %v (%v)", reply, err)
	}
	c.Quit()
	conns := make([]*bench.POP3Conn, len(accounts))
	for i, account := range accounts {
		c, err := bench.Login(s.pop3[0], account, password(account))
		if err != nil {
			t.Fatal(err)
		}
		c.Conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		if err := c.Send([]byte("RETR 1\r\n")); err != nil {
			t.Fatal(err)
		}
		conns[i] = c
	}
	drip := make([]byte, 1<<10)
	for range 50 { // 5 s of 1 kB each tenth of a second
		for i, c := range conns {
			c.SetReadDeadline(time.Now().Add(patience))
			if _, err := c.Conn.Read(drip); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("reader %d: %v", i, err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	inBounds(t, s)
	for _, c := range conns {
		c.Close()
	}
	s.terminate()
}

func dialSMTP(t *testing.T, s *server) *bench.SMTPConn {
	t.Helper()
	c, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}
