package bench

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// Timeout bounds every single wait for a peer: a connect, a read of a reply, a
// write. It is generous, because a load shares its machine with the server.
const Timeout = 60 * time.Second

// Reply is an SMTP reply: its code and its lines without code and CRLF.
type Reply struct {
	Code  int
	Lines []string
}

// String is the reply on one line, for errors and ledgers.
func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Code, strings.Join(r.Lines, " / ")) }

// SMTPConn is an SMTP conversation by hand. It isn't safe for concurrent use.
type SMTPConn struct {
	net.Conn
	r *bufio.Reader
}

// DialSMTP connects to addr, reads the greeting and sends EHLO.
func DialSMTP(addr string) (*SMTPConn, error) {
	return DialSMTPFrom(&net.Dialer{}, addr)
}

// DialSMTPFrom is DialSMTP with a dialer of the caller's, for example one with a
// source address.
func DialSMTPFrom(d *net.Dialer, addr string) (*SMTPConn, error) {
	client := Client{Addr: addr, Dial: d.DialContext}
	return client.SMTP(NewMeter())
}

// ReadReply reads one reply, of as many lines as it has (RFC 5321 section 4.2.1).
func (c *SMTPConn) ReadReply() (Reply, error) {
	var reply Reply
	c.SetReadDeadline(time.Now().Add(Timeout))
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return reply, fmt.Errorf("reading a reply: %w", err)
		}
		code, ok := codeOf(line)
		if !ok {
			return reply, textproto.ProtocolError(fmt.Sprintf("not a reply line: %q", line))
		}
		if reply.Code != 0 && reply.Code != code {
			return reply, textproto.ProtocolError(fmt.Sprintf("code changed from %d within a reply: %q", reply.Code, line))
		}
		reply.Code = code
		reply.Lines = append(reply.Lines, strings.TrimRight(line[3:], "\r\n")[min(1, len(line)-5):])
		if line[3] != '-' {
			return reply, nil
		}
	}
}

// codeOf reads the code of a reply line. "250" alone is one too (RFC 5321 section
// 4.2.1).
func codeOf(line string) (code int, ok bool) {
	if len(line) < 5 || !strings.HasSuffix(line, "\r\n") {
		return 0, false
	}
	for _, digit := range []byte(line[:3]) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		code = code*10 + int(digit-'0')
	}
	return code, line[3] == ' ' || line[3] == '-' || line[3] == '\r'
}

// Want reads one reply and fails with a [*Refused] when its code isn't code.
func (c *SMTPConn) Want(code int) error {
	reply, err := c.ReadReply()
	if err == nil && reply.Code != code {
		err = &Refused{reply}
	}
	return err
}

// Cmd sends one command line and wants one code.
func (c *SMTPConn) Cmd(code int, line string) error {
	if err := c.Send([]byte(line + "\r\n")); err != nil {
		return err
	}
	return c.Want(code)
}

// Send writes octets as they are.
func (c *SMTPConn) Send(octets []byte) error {
	c.SetWriteDeadline(time.Now().Add(Timeout))
	_, err := c.Conn.Write(octets)
	return err
}

// Deliver sends one message in step: MAIL, RCPT for each recipient, DATA, the
// wire form (see [Stuff]) and the dot. It returns the last reply. A refused
// command is answered by RSET, so that the session can go on.
func (c *SMTPConn) Deliver(from string, to []string, wire []byte) (Reply, error) {
	err := c.Cmd(250, "MAIL FROM:<"+from+">")
	for _, rcpt := range to {
		if err == nil {
			err = c.Cmd(250, "RCPT TO:<"+rcpt+">")
		}
	}
	if err == nil {
		err = c.Cmd(354, "DATA")
	}
	if err != nil {
		return c.reset(err)
	}
	if err := c.Send(append(wire[:len(wire):len(wire)], ".\r\n"...)); err != nil {
		return Reply{}, err
	}
	return c.ReadReply()
}

// reset follows a refused command by RSET and turns the refusal into a reply.
func (c *SMTPConn) reset(err error) (Reply, error) {
	refused, ok := err.(*Refused)
	if !ok || refused.Code == 421 {
		return Reply{}, err
	}
	return refused.Reply, c.Cmd(250, "RSET")
}

// Quit sends QUIT, waits for the answer and closes the connection.
func (c *SMTPConn) Quit() error {
	defer c.Close()
	return c.Cmd(221, "QUIT")
}

// Refused is a reply that wasn't the one wanted.
type Refused struct{ Reply }

func (r *Refused) Error() string { return "refused: " + r.Reply.String() }
