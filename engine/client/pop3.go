package client

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// POP3 is a session with a POP3 server (RFC 1939), past its login. It belongs to one
// goroutine. After an error that is no *Negative the connection is of no use any more.
type POP3 struct {
	host    *Host
	conn    net.Conn
	r       *bufio.Reader
	offer   map[string][]string // by CAPA: upper-case words and what is after them; nil: no CAPA
	reading *Body               // not read to its end yet
	// How is what the session is: "TLS 1.3, SCRAM-SHA-256-PLUS".
	How string
}

// Negative is a reply of -ERR.
type Negative struct {
	Command string // without arguments
	Text    string // text of the reply, as it came: not safe for a terminal
}

func (n *Negative) Error() string {
	return fmt.Sprintf("the host replied to %s: -ERR %s", n.Command, Printable(n.Text))
}

// The most that is read of a reply's line and of a listing.
const (
	maxReply         = 8 << 10
	maxListing       = 1_000_000 // messages
	maxListingOctets = 128 << 20
)

// OpenPOP3 connects and logs in. An error wraps ErrRefused when the host doesn't let
// this user in.
func OpenPOP3(ctx context.Context, h *Host) (*POP3, error) {
	c, err := h.dial(ctx)
	if err != nil {
		return nil, err
	}
	p := &POP3{host: h, conn: c, r: bufio.NewReaderSize(c, 64<<10)}
	if err := p.begin(ctx); err != nil {
		_ = p.conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w", h.Addr, err)
	}
	return p, nil
}

func (p *POP3) begin(ctx context.Context) error {
	if _, err := p.reply("the connection"); err != nil {
		return err
	}
	if err := p.capabilities(); err != nil {
		return err
	}
	if p.host.Security == StartTLS {
		if err := p.startTLS(ctx); err != nil {
			return err
		}
	}
	return p.login()
}

// startTLS is STLS (RFC 2595).
func (p *POP3) startTLS(ctx context.Context) error {
	if _, err := p.command("STLS"); err != nil {
		return fmt.Errorf("TLS is required, but not available: %w", err)
	}
	if p.r.Buffered() > 0 {
		return errors.New("the host sent data after its reply to STLS and before the TLS handshake: an attacker may be on the way")
	}
	under, err := p.host.handshake(ctx, p.conn)
	if err != nil {
		return err
	}
	p.conn = under
	p.r.Reset(under)
	return p.capabilities() // replies in clear text are not trusted
}

// capabilities asks what the host can do (RFC 2449). Old ones don't know the question.
func (p *POP3) capabilities() error {
	p.offer = nil
	_, err := p.command("CAPA")
	if _, no := errors.AsType[*Negative](err); no {
		return nil
	}
	if err != nil {
		return err
	}
	p.offer = make(map[string][]string)
	return p.lines(func(line string) error {
		words := strings.Fields(line)
		if len(words) > 0 && len(p.offer) < 100 {
			p.offer[strings.ToUpper(words[0])] = words[1:]
		}
		return nil
	})
}

// can reports whether the host offers something.
func (p *POP3) can(capability string) bool {
	_, ok := p.offer[capability]
	return ok
}

func (p *POP3) login() error {
	x, err := p.host.choose(p.offer["SASL"], p.conn)
	if err != nil {
		return err
	}
	if x != nil {
		p.How = described(p.conn, x.mechanism)
		err = p.authenticate(x)
	} else {
		p.How = described(p.conn, "USER")
		err = p.userPass()
	}
	if no, ok := errors.AsType[*Negative](err); ok {
		return fmt.Errorf("%w: %w", ErrRefused, no)
	}
	return err
}

func (p *POP3) userPass() error {
	if strings.ContainsAny(p.host.User+p.host.Password, "\r\n\x00") {
		return errors.New("a name or password with a line end can't be sent by USER and PASS")
	}
	if _, err := p.command("USER", p.host.User); err != nil {
		return err
	}
	_, err := p.command("PASS", p.host.Password)
	return err
}

// authenticate is AUTH (RFC 5034).
func (p *POP3) authenticate(x *exchange) error {
	line := "AUTH " + x.mechanism
	rest := x.initial
	encoded := base64.StdEncoding.EncodeToString(x.initial)
	// The command with an initial response has to fit into 255 octets (RFC 5034 section 4).
	if x.initial != nil && len(line)+1+len(encoded)+2 <= 255 {
		line, rest = line+" "+encoded, nil
	}
	if err := p.write(line + "\r\n"); err != nil {
		return err
	}
	for range 10 {
		text, err := p.line()
		if err != nil {
			return err
		}
		challenge, more := strings.CutPrefix(text, "+ ")
		if !more && text != "+" {
			if _, err := status("AUTH", text); err != nil {
				return err
			}
			if !x.proven() {
				return errors.New("the host accepted the login without proving that it knows the password: it may be an impostor")
			}
			return nil
		}
		octets, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
		if err != nil {
			return fmt.Errorf("AUTH: the challenge %q is not base64", Printable(text))
		}
		response := rest
		if rest == nil {
			if response, err = x.respond(octets); err != nil {
				_ = p.write("*\r\n")
				return fmt.Errorf("AUTH %s: %w", x.mechanism, err)
			}
		}
		rest = nil
		if err := p.write(base64.StdEncoding.EncodeToString(response) + "\r\n"); err != nil {
			return err
		}
	}
	return errors.New("AUTH: too many challenges from the host")
}

// command sends a command and reads the first line of its reply.
func (p *POP3) command(verb string, args ...string) (string, error) {
	if err := p.finish(); err != nil {
		return "", err
	}
	line := verb
	if len(args) > 0 {
		line += " " + strings.Join(args, " ")
	}
	if err := p.write(line + "\r\n"); err != nil {
		return "", err
	}
	return p.reply(verb)
}

func (p *POP3) write(text string) error {
	_, err := io.WriteString(p.conn, text)
	return err
}

// reply reads the line of a reply; a *Negative when it is -ERR.
func (p *POP3) reply(verb string) (string, error) {
	line, err := p.line()
	if err != nil {
		return "", fmt.Errorf("%s: %w", verb, err)
	}
	return status(verb, line)
}

func status(verb, line string) (string, error) {
	word, text, _ := strings.Cut(line, " ")
	switch word {
	case "+OK":
		return text, nil
	case "-ERR":
		return "", &Negative{verb, text}
	}
	return "", fmt.Errorf("the host's reply to %s is not a POP3 reply: %q", verb, Printable(line[:min(len(line), 200)]))
}

// line reads a line, without its end.
func (p *POP3) line() (string, error) {
	var line []byte
	for {
		piece, err := p.r.ReadSlice('\n')
		if len(line)+len(piece) > maxReply {
			return "", errors.New("the host sent a line without an end")
		}
		line = append(line, piece...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err == io.EOF {
			err = errors.New("the host closed the connection")
		}
		if err != nil {
			return "", err
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
	}
}

// lines reads a reply of several lines up to the dot and gives each to take.
func (p *POP3) lines(take func(line string) error) error {
	octets := 0
	for range maxListing + 1 { // and the dot
		line, err := p.line()
		if err != nil {
			return err
		}
		if octets += len(line); octets > maxListingOctets {
			break
		}
		if line == "." {
			return nil
		}
		if err := take(strings.TrimPrefix(line, ".")); err != nil {
			return err
		}
	}
	return fmt.Errorf("the host's listing is too long: more than %d lines or %d octets", maxListing, maxListingOctets)
}

// Item is a message in a maildrop.
type Item struct {
	Number int
	Size   int64  // octets, as reported by the host
	UID    string // unique-id (RFC 1939 section 7); "": the host has none
}

// List lists the maildrop, without what is marked as deleted.
func (p *POP3) List() ([]Item, error) {
	var items []Item
	if _, err := p.command("LIST"); err != nil {
		return nil, err
	}
	at := make(map[int]int)
	err := p.lines(func(line string) error {
		words := strings.Fields(line)
		if len(words) < 2 {
			return fmt.Errorf("LIST: invalid line %q", Printable(line))
		}
		n, err1 := strconv.Atoi(words[0])
		size, err2 := strconv.ParseInt(words[1], 10, 64)
		if err1 != nil || err2 != nil || n < 1 || size < 0 {
			return fmt.Errorf("LIST: invalid line %q", Printable(line))
		}
		if _, twice := at[n]; twice {
			return fmt.Errorf("LIST: message %d is listed twice", n)
		}
		at[n] = len(items)
		items = append(items, Item{Number: n, Size: size})
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, err = p.command("UIDL")
	if _, no := errors.AsType[*Negative](err); no {
		return items, nil
	}
	if err != nil {
		return nil, err
	}
	return items, p.lines(func(line string) error {
		number, uid, ok := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		if i, known := at[n]; ok && err == nil && known {
			items[i].UID = strings.TrimSpace(uid)
		}
		return nil
	})
}

// Delete marks a message as deleted; Quit deletes it.
func (p *POP3) Delete(number int) error {
	_, err := p.command("DELE", strconv.Itoa(number))
	return err
}

// Quit ends the session. Only after it has returned nil are the marked messages deleted.
func (p *POP3) Quit() error {
	_, err := p.command("QUIT")
	return errors.Join(err, p.conn.Close())
}

// Abandon ends the session without deleting anything: the server sees the end of the
// connection, and lets go of the maildrop. After Quit it does nothing.
func (p *POP3) Abandon() { _ = p.conn.Close() }
