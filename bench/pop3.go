package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// POP3Conn is a POP3 conversation by hand. It isn't safe for concurrent use.
type POP3Conn struct {
	net.Conn
	r *bufio.Reader
}

// Login connects to addr, reads the greeting, and logs in with USER and PASS.
func Login(addr, user, password string) (*POP3Conn, error) {
	client := Client{Addr: addr, User: user, Password: password}
	return client.POP3(NewMeter())
}

// POP3 begins a session: the greeting, and STLS, USER and PASS where they are
// asked for. meter counts each stage.
func (c *Client) POP3(meter *Meter) (*POP3Conn, error) {
	conn, err := c.connect(meter)
	if err != nil {
		return nil, err
	}
	p := &POP3Conn{conn, bufio.NewReaderSize(conn, 64<<10)}
	begin := time.Now()
	if _, err = p.Status(); err == nil {
		meter.Time(StageBanner, time.Since(begin))
		err = c.loginPOP3(p, meter)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (c *Client) loginPOP3(p *POP3Conn, meter *Meter) error {
	begin := time.Now()
	if c.Security == Upgrade {
		if _, err := p.Cmd("STLS"); err != nil {
			return err
		}
		conn, err := c.handshake(p.Conn)
		if err != nil {
			return err
		}
		p.Conn, p.r = conn, bufio.NewReaderSize(conn, 64<<10)
		meter.Time(StageStartTLS, time.Since(begin))
	}
	if c.User == "" {
		return nil
	}
	begin = time.Now()
	if _, err := p.Cmd("USER " + c.User); err != nil {
		return err
	}
	if _, err := p.Cmd("PASS " + c.Password); err != nil {
		return err
	}
	meter.Time(StageLogin, time.Since(begin))
	return nil
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

// Stat returns the number of messages and their octets.
func (c *POP3Conn) Stat() (messages int, octets int64, err error) {
	if err := c.Send([]byte("STAT\r\n")); err != nil {
		return 0, 0, err
	}
	return c.readStat()
}

func (c *POP3Conn) readStat() (messages int, octets int64, err error) {
	line, err := c.Status()
	if err == nil {
		_, err = fmt.Sscanf(line, "%d %d", &messages, &octets)
	}
	return messages, octets, err
}

// Sizes is LIST: the octets of message n are at index n-1.
func (c *POP3Conn) Sizes() ([]int64, error) {
	if err := c.Send([]byte("LIST\r\n")); err != nil {
		return nil, err
	}
	return c.readSizes()
}

func (c *POP3Conn) readSizes() (sizes []int64, err error) {
	if _, err := c.Status(); err != nil {
		return nil, err
	}
	listing, err := c.Multi(nil)
	if err != nil {
		return nil, err
	}
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

// readIDs reads the answer to UIDL, and returns how many there are. No two are the
// same (RFC 1939 section 7).
func (c *POP3Conn) readIDs() (n int, err error) {
	if _, err := c.Status(); err != nil {
		return 0, err
	}
	listing, err := c.Multi(nil)
	if err != nil {
		return 0, err
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(string(listing)) {
		number, id, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		if n++; number != strconv.Itoa(n) || id == "" || len(id) > 70 || seen[id] {
			return n, fmt.Errorf("line %d of UIDL is %q", n, line)
		}
		seen[id] = true
	}
	return n, nil
}

// Quit sends QUIT, waits for the answer and closes the connection.
func (c *POP3Conn) Quit() error {
	defer c.Close()
	_, err := c.Cmd("QUIT")
	return err
}

// POP3Error is the text of a -ERR.
type POP3Error string

func (e POP3Error) Error() string { return "-ERR " + string(e) }

// Poll is what a reader's program does every few minutes: log in, STAT, QUIT. It
// counts as one message of no octets.
func (c *Client) Poll(meter *Meter) error {
	begin := time.Now()
	p, err := c.POP3(meter)
	if err != nil {
		return err
	}
	defer p.Close()
	asked := time.Now()
	if _, _, err := p.Stat(); err != nil {
		return err
	}
	meter.Time(StageStat, time.Since(asked))
	if err := p.Quit(); err != nil {
		return err
	}
	meter.Count(0, time.Since(begin))
	return nil
}
