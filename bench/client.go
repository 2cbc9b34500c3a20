package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"time"
)

// Security is when a session turns to TLS.
type Security uint8

// The ways.
const (
	Plain       Security = iota // never
	Upgrade                     // by STARTTLS, or STLS in POP3
	ImplicitTLS                 // before the greeting
)

// Client has the settings for beginning a session. Addr must be set.
type Client struct {
	Addr string
	// Hello is the name in EHLO; empty: bench.example.
	Hello    string
	Security Security
	// TLS is used where Security asks for it; nil: the name in Addr is verified.
	TLS *tls.Config
	// User and Password, unless empty, are given by AUTH PLAIN (RFC 4616), or by
	// USER and PASS.
	User, Password string
	// Dial makes the connection; nil: by TCP, within [Timeout].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// connect makes the connection, with TLS if that comes first.
func (c *Client) connect(meter *Meter) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	begin := time.Now()
	conn, err := dial(ctx, "tcp", c.Addr)
	if err != nil {
		return nil, err
	}
	if c.Security == ImplicitTLS {
		if conn, err = c.handshake(conn); err != nil {
			return nil, err
		}
	}
	meter.Time(StageConnect, time.Since(begin))
	return conn, nil
}

// handshake wraps conn, and closes it when that fails.
func (c *Client) handshake(conn net.Conn) (net.Conn, error) {
	config := c.TLS
	if config == nil {
		host, _, _ := net.SplitHostPort(c.Addr)
		config = &tls.Config{ServerName: host}
	}
	wrapped := tls.Client(conn, config)
	wrapped.SetDeadline(time.Now().Add(Timeout))
	if err := wrapped.Handshake(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", c.Addr, err)
	}
	return wrapped, nil
}

// SMTP begins a session: the greeting, EHLO, and STARTTLS and AUTH where they are
// asked for. meter counts each stage.
func (c *Client) SMTP(meter *Meter) (*SMTPConn, error) {
	conn, err := c.connect(meter)
	if err != nil {
		return nil, err
	}
	s := &SMTPConn{conn, bufio.NewReaderSize(conn, 1024)}
	if err := c.greet(s, meter); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (c *Client) greet(s *SMTPConn, meter *Meter) error {
	begin := time.Now()
	if err := s.Want(220); err != nil {
		return err
	}
	meter.Time(StageBanner, time.Since(begin))
	hello := c.Hello
	if hello == "" {
		hello = "bench.example"
	}
	if err := s.timed(meter, StageHello, 250, "EHLO "+hello); err != nil {
		return err
	}
	if c.Security == Upgrade {
		begin := time.Now()
		if err := s.Cmd(220, "STARTTLS"); err != nil {
			return err
		}
		conn, err := c.handshake(s.Conn)
		if err != nil {
			return err
		}
		s.Conn, s.r = conn, bufio.NewReaderSize(conn, 1024)
		if err := s.Cmd(250, "EHLO "+hello); err != nil {
			return err
		}
		meter.Time(StageStartTLS, time.Since(begin))
	}
	if c.User == "" {
		return nil
	}
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + c.User + "\x00" + c.Password))
	return s.timed(meter, StageAuth, 235, "AUTH PLAIN "+secret)
}

// timed is Cmd, and gives meter the time of a wanted answer.
func (c *SMTPConn) timed(meter *Meter, stage Stage, code int, line string) error {
	begin := time.Now()
	err := c.Cmd(code, line)
	if err == nil {
		meter.Time(stage, time.Since(begin))
	}
	return err
}
