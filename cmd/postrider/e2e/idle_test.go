package e2e

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"postrider/bench"
)

// 10,000 sessions idle at once. What one costs is printed. All of them still
// answer, and a fresh one still delivers.
func TestIdleSessions(t *testing.T) {
	heavy(t)
	const sessions = 10_000
	s := newServer(t, "reader")
	s.configure("[limits]\nconnections = 20000\nconnections_per_client = 20000\n")
	s.start()
	s.send("reader", []byte("Subject: before\r\n\r\nso that nothing is cold\r\n"))
	before := s.usage()
	begin := time.Now()
	idle := openIdle(t, s, sessions)
	opened := time.Since(begin)
	after := s.usage()
	t.Logf("%d sessions opened in %.1f s; PSS %.1f MB before, %.1f MB after: %d octets a session, %d us of CPU",
		sessions, opened.Seconds(), float64(before.PSS)/1e6, float64(after.PSS)/1e6,
		(after.PSS-before.PSS)/sessions, (after.CPU-before.CPU).Microseconds()/sessions)

	s.send("reader", []byte("Subject: during\r\n\r\nten thousand look on\r\n"))
	if got := s.fetch("reader", true); len(got) != 2 {
		t.Errorf("%d messages came out, 2 went in", len(got))
	}
	silent := 0
	for _, c := range idle {
		if c.Send([]byte("NOOP\r\n")) != nil || c.Want(250) != nil {
			silent++
		}
		c.Close()
	}
	if silent > 0 {
		t.Errorf("%d of %d idle sessions no longer answer", silent, sessions)
	}
	s.terminate()
}

// openIdle opens sessions that have said EHLO, from ten addresses of the
// loopback network, so that the ports of one client suffice.
func openIdle(t *testing.T, s *server, sessions int) []*bench.SMTPConn {
	t.Helper()
	const dialers = 10
	idle := make([]*bench.SMTPConn, sessions)
	failures := make(chan error, dialers)
	var wg sync.WaitGroup
	for i := range dialers {
		wg.Go(func() {
			from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i))}}
			for n := i; n < sessions; n += dialers {
				c, err := bench.DialSMTPFrom(from, s.smtp[0])
				if err != nil {
					failures <- fmt.Errorf("session %d: %w", n, err)
					return
				}
				idle[n] = c
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failures:
		t.Fatal(err)
	default:
	}
	return idle
}
