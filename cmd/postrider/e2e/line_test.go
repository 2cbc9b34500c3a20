package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// socket is a dialogue by hand, by SMTP or POP3, in the clear or within TLS. Its
// errors are the caller's, so that it may be used by many goroutines.
type socket struct {
	net.Conn
	r *bufio.Reader
}

// connect connects from an address of the loopback network and reads the greeting. With
// a configuration it speaks TLS first.
func connect(from net.IP, addr string, cfg *tls.Config) (*socket, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: from}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &socket{conn, bufio.NewReader(conn)}
	s.SetDeadline(time.Now().Add(patience))
	if cfg != nil {
		err = s.secure(cfg)
	}
	if err == nil {
		_, err = s.reply()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// secure begins TLS.
func (s *socket) secure(cfg *tls.Config) error {
	within := tls.Client(s.Conn, cfg)
	if err := within.Handshake(); err != nil {
		return err
	}
	s.Conn, s.r = within, bufio.NewReader(within)
	return nil
}

// reply reads a reply and returns its last line.
func (s *socket) reply() (string, error) {
	s.SetDeadline(time.Now().Add(patience))
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(line) < 4 || line[3] != '-' || line[0] == '+' || line[0] == '-' {
			return strings.TrimRight(line, "\r\n"), nil
		}
	}
}

// say sends octets as they are in one segment, and reads a reply.
func (s *socket) say(octets string) (string, error) {
	s.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(s.Conn, octets); err != nil {
		return "", err
	}
	return s.reply()
}

// steps are lines and how the replies to them begin.
type steps [][2]string

// play sends the lines and wants the replies.
func (s *socket) play(what steps) error {
	for _, step := range what {
		got, err := s.say(step[0] + "\r\n")
		if err != nil {
			return fmt.Errorf("%.60q: %w", step[0], err)
		}
		if !strings.HasPrefix(got, step[1]) {
			return fmt.Errorf("%.60q got %q, want %s", step[0], got, step[1])
		}
	}
	return nil
}

// gone reads whatever is left, in the clear, until the server has hung up.
func (s *socket) gone() string {
	s.SetDeadline(time.Now().Add(patience))
	rest, _ := io.ReadAll(s.r) // a reset is as good an end as any
	return string(rest)
}

// must is connect for a test's own goroutine, from 127.0.0.1.
func must(t *testing.T, addr string, cfg *tls.Config) *socket {
	t.Helper()
	s, err := connect(net.IPv4(127, 0, 0, 1), addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
