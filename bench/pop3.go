package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// POP3Conn is a POP3 conversation by hand. It isn't safe for concurrent use.
type POP3Conn struct {
	net.Conn
	r *bufio.Reader
}

// DialPOP3 connects to addr and reads the greeting.
func DialPOP3(addr string) (*POP3Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, Timeout)
	if err != nil {
		return nil, err
	}
	c := &POP3Conn{conn, bufio.NewReaderSize(conn, 64<<10)}
	if _, err := c.Status(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Login is DialPOP3 with USER and PASS after it.
func Login(addr, user, password string) (*POP3Conn, error) {
	c, err := DialPOP3(addr)
	if err != nil {
		return nil, err
	}
	if _, err = c.Cmd("USER " + user); err == nil {
		_, err = c.Cmd("PASS " + password)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Status reads a status line and returns what follows "+OK ". A "-ERR" is an
// error of type [POP3Error].
func (c *POP3Conn) Status() (string, error) {
	c.SetReadDeadline(time.Now().Add(Timeout))
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("reading a status line: %w", err)
	}
	line, whole := strings.CutSuffix(line, "\r\n")
	if text, ok := strings.CutPrefix(line, "+OK"); ok && whole {
		return strings.TrimPrefix(text, " "), nil
	}
	if text, ok := strings.CutPrefix(line, "-ERR"); ok && whole {
		return "", POP3Error(strings.TrimPrefix(text, " "))
	}
	return "", fmt.Errorf("not a status line: %q", line)
}

// Cmd sends one command line and reads its status line.
func (c *POP3Conn) Cmd(line string) (string, error) {
	if err := c.Send([]byte(line + "\r\n")); err != nil {
		return "", err
	}
	return c.Status()
}

// Send writes octets as they are.
func (c *POP3Conn) Send(octets []byte) error {
	c.SetWriteDeadline(time.Now().Add(Timeout))
	_, err := c.Conn.Write(octets)
	return err
}

// Multi reads the lines that follow a status line, up to the terminating dot
// (RFC 1939 section 3), appends them to dst with their CRLFs and without
// stuffed dots, and returns the result. A line that ends in a bare LF is an error.
func (c *POP3Conn) Multi(dst []byte) ([]byte, error) {
	c.SetReadDeadline(time.Now().Add(Timeout))
	for begin := true; ; {
		line, err := c.r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return dst, fmt.Errorf("reading a multi-line response: %w", io.ErrUnexpectedEOF)
		}
		whole := err == nil
		if begin && bytes.Equal(line, []byte(".\r\n")) {
			return dst, nil
		}
		if begin && line[0] == '.' {
			line = line[1:]
		}
		dst = append(dst, line...)
		if whole && !bytes.HasSuffix(dst, []byte("\r\n")) {
			return dst, fmt.Errorf("bare LF in a multi-line response")
		}
		begin = whole
	}
}

// Retr fetches one message.
func (c *POP3Conn) Retr(number int) ([]byte, error) {
	if _, err := c.Cmd(fmt.Sprintf("RETR %d", number)); err != nil {
		return nil, err
	}
	return c.Multi(nil)
}

// Stat tells the number of messages and their octets.
func (c *POP3Conn) Stat() (messages int, octets int64, err error) {
	line, err := c.Cmd("STAT")
	if err == nil {
		_, err = fmt.Sscanf(line, "%d %d", &messages, &octets)
	}
	return messages, octets, err
}

// Sizes is LIST: the octets of message n are at index n-1.
func (c *POP3Conn) Sizes() ([]int64, error) {
	if _, err := c.Cmd("LIST"); err != nil {
		return nil, err
	}
	listing, err := c.Multi(nil)
	if err != nil {
		return nil, err
	}
	var sizes []int64
	for line := range strings.Lines(string(listing)) {
		var number int
		var size int64
		if _, err := fmt.Sscanf(line, "%d %d\r\n", &number, &size); err != nil || number != len(sizes)+1 {
			return nil, fmt.Errorf("line %d of LIST is %q", len(sizes)+1, line)
		}
		sizes = append(sizes, size)
	}
	return sizes, nil
}

// Quit says QUIT, waits for the answer and closes the connection.
func (c *POP3Conn) Quit() error {
	defer c.Close()
	_, err := c.Cmd("QUIT")
	return err
}

// POP3Error is the text of a -ERR.
type POP3Error string

func (e POP3Error) Error() string { return "-ERR " + string(e) }
