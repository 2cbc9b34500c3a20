package e2e

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/bench"
)

// RFC 1939 section 4 and RFC 2449 section 8.1.1: a second session on a maildrop
// gets [IN-USE] at once; the lock is free again when the first has gone, whether
// by QUIT or by a lost connection.
func TestSecondPOP3Session(t *testing.T) {
	s := newServer(t, "reader")
	s.start()
	s.send("reader", []byte("Subject: one\r\n\r\ntext\r\n"))
	for _, leave := range []func(*bench.POP3Conn) error{(*bench.POP3Conn).Quit, (*bench.POP3Conn).Close} {
		first := login(t, s)
		_, err := bench.Login(s.pop3[0], "reader", password("reader"))
		var refused bench.POP3Error
		if !errors.As(err, &refused) || !strings.HasPrefix(string(refused), "[IN-USE]") {
			t.Errorf("a second session gets %v, want -ERR [IN-USE]", err)
		}
		if err := leave(first); err != nil {
			t.Error(err)
		}
		login(t, s).Quit()
	}
	if left := s.fetch("reader", false); len(left) != 1 {
		t.Errorf("%d messages are left, the deleted one is not gone", len(left))
	}
	s.terminate()
}

// login logs reader in, as soon as the lock of a connection just lost is free.
func login(t *testing.T, s *server) *bench.POP3Conn {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := bench.Login(s.pop3[0], "reader", password("reader"))
		if err == nil {
			return c
		}
		if !strings.Contains(err.Error(), "[IN-USE]") || time.Now().After(deadline) {
			t.Fatalf("logging in: %v", err)
		}
	}
}

// The server serves IPv4 and IPv6 at once.
func TestUnderBothFamilies(t *testing.T) {
	if probe, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("this machine has no IPv6 loopback: %v", err)
	} else {
		probe.Close()
	}
	s := newServer(t, "reader")
	s.args = []string{"--smtp", "[::1]:0", "--pop3", "[::1]:0"}
	s.start()
	if len(s.smtp) != 2 || len(s.pop3) != 2 {
		t.Fatalf("two addresses each were asked for, the ready line has smtp %v and pop3 %v", s.smtp, s.pop3)
	}
	wire := bench.Message(7, 2000)
	for _, addr := range s.smtp {
		c, err := bench.DialSMTP(addr)
		if err != nil {
			t.Fatal(err)
		}
		if reply, err := c.Deliver("sender@client.example", []string{"reader@localhost"}, wire); err != nil || reply.Code != 250 {
			t.Fatalf("%s: %v %v", addr, reply, err)
		}
		c.Quit()
	}
	for _, addr := range s.pop3 {
		report, err := bench.Fetch{Addr: addr, User: "reader", Password: password("reader"), Each: whole}.Run(t.Context())
		if err != nil || report.Messages != 2 {
			t.Errorf("%s: %d messages, want 2 (%v)", addr, report.Messages, err)
		}
	}
	s.terminate()
}

// whole wants a message to be one of bench.Message, not half of one.
func whole(_ int, message []byte) error {
	_, err := bench.CheckMessage(message)
	return err
}

// SIGTERM in the middle of DATA: the message is finished and then has its 250, or
// is refused; it is never half there and never acknowledged and lost. The
// program ends with status 0.
func TestDrain(t *testing.T) {
	s := newServer(t, "reader")
	s.start()
	c, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []struct {
		code int
		line string
	}{{250, "MAIL FROM:<sender@client.example>"}, {250, "RCPT TO:<reader@localhost>"}, {354, "DATA"}} {
		if err := c.Cmd(step.code, step.line); err != nil {
			t.Fatal(err)
		}
	}
	wire := bench.Message(1, 200_000)
	if err := c.Send(wire[:len(wire)/2]); err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	time.Sleep(200 * time.Millisecond) // so that the signal is there before the rest
	var reply bench.Reply
	if err = c.Send(append(wire[len(wire)/2:len(wire):len(wire)], ".\r\n"...)); err == nil {
		reply, err = c.ReadReply()
	}
	t.Logf("the message cut by SIGTERM gets %d %v (%v)", reply.Code, reply.Lines, err)
	accepted := err == nil && reply.Code == 250
	if err == nil && !accepted && reply.Code/100 != 4 {
		t.Errorf("the reply is %v, want 250 or 4yz", reply)
	}
	c.Close()
	s.waitEnd()

	s.check()
	s.start()
	messages := s.fetch("reader", false)
	if accepted && len(messages) != 1 || len(messages) > 1 || len(messages) == 1 && !accepted && err == nil {
		t.Errorf("acknowledged: %t, messages there: %d", accepted, len(messages))
	}
	for number, message := range messages {
		if err := whole(number, message); err != nil {
			t.Error(err)
		}
	}
	s.terminate()
}
