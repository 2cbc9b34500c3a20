package strangers

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"postrider/bench"
)

// attack is one thing that strangers do, from several connections at once.
type attack struct {
	name  string
	at    int           // at once
	pause time.Duration // before the next one
	make  func(ctx context.Context, r *Run, n int) error
}

// attacks are the attacks of a Run. The numbers at once are chosen so that two cores are
// mostly busy with the server, and not with the strangers.
var attacks = []attack{
	{"transactions of 1,000 recipients", 150, wave, openTransaction},
	{"empty lines under 8 signatures", 2, time.Second, mail(emptyLines)},
	{"h= of 40,000 names", 2, time.Second, mail(manyNames)},
	{"headers of 240 KB", 2, time.Second, mail(largeHeader)},
	{"a field of 60,000 lines", 1, time.Second, mail(folded)},
	{"From of 20,000 domains", 1, time.Second, mail(manyAuthors)},
	{"empty multiparts", 1, time.Second, mail(emptyMultiparts)},
	{"keys of silent name servers", 20, time.Second, mail(silentKeys)},
	{"SPF of silent name servers", 10, time.Second, wide},
	{"NOTIFY=SUCCESS to hosts that trickle", 10, time.Second, success},
	{"an octet of a command a second", 300, time.Second, slowCommand},
	{"an octet of a message a second", 100, time.Second, slowMessage},
	{"SMTP sessions without a word", 1000, time.Second, silent(func(r *Run) string { return r.SMTP })},
	{"POP3 sessions without a word", 1000, time.Second, silent(func(r *Run) string { return r.POP3 })},
	{"HTTP connections without a word", 800, time.Second, silent(func(r *Run) string { return r.HTTP })},
	{"HTTP headers without an end", 200, time.Second, slowHTTP},
	{"forms without an end", 10, time.Second, form},
	{"replies that are not read", 50, time.Second, unread},
	{"TLS handshakes without an end", 100, time.Second, stalled},
	{"wrong passwords", 20, 100 * time.Millisecond, guess},
	{"connections that end at once", 2, 20 * time.Millisecond, knock},
}

// stranger connects from an address that few others have. The connection ends with ctx.
func (r *Run) stranger(ctx context.Context, to string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: r.nextAddress().AsSlice()}, Timeout: bench.Timeout}
	c, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		pause(ctx, time.Second) // no descriptor, or no answer: as a client that comes again
		return nil, err
	}
	return &attached{c, context.AfterFunc(ctx, func() { c.Close() })}, nil
}

// attached is a connection that ends with a context.
type attached struct {
	net.Conn
	detach func() bool
}

// Close implements net.Conn.
func (a *attached) Close() error {
	a.detach()
	return a.Conn.Close()
}

// nextAddress is the next of the strangers' addresses, which are far from each other.
func (r *Run) nextAddress() netip.Addr {
	in := r.Addresses
	if !in.IsValid() {
		in = netip.MustParsePrefix("127.64.0.0/10")
	}
	base := in.Masked().Addr().As4()
	host := uint32(r.from.Add(1)*2654435761) >> in.Bits()
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(base[:])|host|1)))
}

// session begins SMTP as a stranger.
func (r *Run) session(ctx context.Context) (*bench.SMTPConn, error) {
	client := bench.Client{Addr: r.SMTP, Hello: "client.evil.test", Dial: r.dialer(ctx)}
	return client.SMTP(bench.NewMeter())
}

// dialer is stranger as a client of package bench wants it.
func (r *Run) dialer(ctx context.Context) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, to string) (net.Conn, error) { return r.stranger(ctx, to) }
}

// victim is the account that gets the strangers' mail.
func (r *Run) victim() string { return "victim@" + r.Domain }

// hold is how long a session is held, with an octet each second if there are any, before
// another takes its place. Time-outs of the server end it before.
const hold = 10 * time.Minute

// drip writes octets, one a second, until the peer has closed.
func drip(ctx context.Context, c net.Conn, octets string) error {
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, c)
		close(closed)
	}()
	var tick <-chan time.Time
	if octets != "" {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		tick = ticker.C
	}
	end := time.After(hold)
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-closed:
			return nil
		case <-end:
			return nil
		case <-tick:
			if _, err := c.Write([]byte{octets[i%len(octets)]}); err != nil {
				return nil
			}
		}
	}
}

// wave is how long transactions stay open, and how long it is then until the next ones:
// in between other strangers get as far as their mail.
const wave = 15 * time.Second

// openTransaction gives as many recipients as are taken, and stays.
func openTransaction(ctx context.Context, r *Run, n int) error {
	c, err := r.session(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Cmd(250, fmt.Sprintf("MAIL FROM:<a%d@evil.test>", n)); err != nil {
		return err
	}
	orcpt := strings.Repeat("o", 400)
	for i := range 1000 {
		err := c.Cmd(250, fmt.Sprintf("RCPT TO:<victim+%s%d@%s> NOTIFY=FAILURE ORCPT=rfc822;%s", strings.Repeat("y", 50), i, r.Domain, orcpt))
		if refused, ok := errors.AsType[*bench.Refused](err); ok && refused.Code != 421 {
			break
		}
		if err != nil {
			return err
		}
	}
	pause(ctx, wave)
	return ctx.Err()
}

// mail sends one message, for which nothing is asked but that it is read.
func mail(text func(n int) []byte) func(ctx context.Context, r *Run, n int) error {
	return func(ctx context.Context, r *Run, n int) error {
		return r.send(ctx, "MAIL FROM:<a@evil.test>", "RCPT TO:<"+r.victim()+">", text(n))
	}
}

func (r *Run) send(ctx context.Context, from, to string, text []byte) error {
	c, err := r.session(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, step := range []struct {
		code int
		line string
	}{{250, from}, {250, to}, {354, "DATA"}} {
		if err := c.Cmd(step.code, step.line); err != nil {
			return err
		}
	}
	for len(text) > 0 {
		n := min(len(text), 64<<10)
		if err := c.Send(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	if err := c.Send([]byte(".\r\n")); err != nil {
		return err
	}
	_, err = c.ReadReply()
	return err
}

// signature is a DKIM-Signature that costs all that one can: its body hash is wrong.
func signature(canonicalization, names, selector, domain string) string {
	return "DKIM-Signature: v=1; a=rsa-sha256; c=" + canonicalization + "; d=" + domain + "; s=" + selector + "; h=" + names + "; bh=AAAA; b=AAAA\r\n"
}

const author = "From: a@evil.test\r\nSubject: x\r\n"

func emptyLines(n int) []byte {
	head := strings.Repeat(signature([]string{"simple/simple", "relaxed/relaxed"}[n%2], "from", "s", "evil.test"), 8) + author + "\r\n"
	return []byte(head + strings.Repeat("\r\n", 4<<20) + "x\r\n")
}

func manyNames(int) []byte {
	return []byte(signature("simple/simple", "from"+strings.Repeat(":b", 40000), "s", "evil.test") + author + strings.Repeat("a:\r\n", 40000) + "\r\nx\r\n")
}

func largeHeader(int) []byte {
	return []byte(strings.Repeat(signature("relaxed/relaxed", "from", "s", "evil.test"), 8) + author + strings.Repeat("X: "+strings.Repeat("y", 90)+"\r\n", 2500) + "\r\nx\r\n")
}

func folded(int) []byte {
	return []byte(author + "X: y\r\n" + strings.Repeat(" x\r\n", 60000) + "\r\nx\r\n")
}

func manyAuthors(int) []byte {
	var b strings.Builder
	b.WriteString("From: a@evil.test")
	for i := range 20000 {
		fmt.Fprintf(&b, ",\r\n a@%x.test", i)
	}
	return []byte(b.String() + "\r\n\r\nx\r\n")
}

func emptyMultiparts(int) []byte {
	part := "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
	return []byte(author + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat(part, 3<<20/len(part)) + "--b--\r\n")
}

func silentKeys(n int) []byte {
	var b strings.Builder
	for i := range 8 {
		b.WriteString(signature("relaxed/relaxed", "from", fmt.Sprintf("s%d", n), fmt.Sprintf("d%d.slow.test", i)))
	}
	return []byte(b.String() + author + "\r\nx\r\n")
}

func wide(ctx context.Context, r *Run, n int) error {
	return r.send(ctx, fmt.Sprintf("MAIL FROM:<a%d@wide.test>", n), "RCPT TO:<"+r.victim()+">", []byte(author+"\r\nx\r\n"))
}

func success(ctx context.Context, r *Run, n int) error {
	return r.send(ctx, fmt.Sprintf("MAIL FROM:<a@t%d.test>", n), "RCPT TO:<"+r.victim()+"> NOTIFY=SUCCESS,FAILURE", []byte(author+"\r\nx\r\n"))
}

func slowCommand(ctx context.Context, r *Run, _ int) error {
	c, err := r.stranger(ctx, r.SMTP)
	if err != nil {
		return err
	}
	defer c.Close()
	return drip(ctx, c, "EHLO "+strings.Repeat("x", 1800))
}

func slowMessage(ctx context.Context, r *Run, n int) error {
	c, err := r.session(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, step := range []struct {
		code int
		line string
	}{{250, fmt.Sprintf("MAIL FROM:<a%d@evil.test>", n)}, {250, "RCPT TO:<" + r.victim() + ">"}, {354, "DATA"}} {
		if err := c.Cmd(step.code, step.line); err != nil {
			return err
		}
	}
	return drip(ctx, c, "x")
}

func silent(addr func(*Run) string) func(ctx context.Context, r *Run, _ int) error {
	return func(ctx context.Context, r *Run, _ int) error {
		c, err := r.stranger(ctx, addr(r))
		if err != nil {
			return err
		}
		defer c.Close()
		return drip(ctx, c, "")
	}
}

func slowHTTP(ctx context.Context, r *Run, _ int) error {
	c, err := r.stranger(ctx, r.HTTP)
	if err != nil {
		return err
	}
	defer c.Close()
	return drip(ctx, c, "GET / HTTP/1.1\r\nHost: "+r.HTTP+"\r\nX: "+strings.Repeat("x", 4000))
}

// form sends a form of the web client that has no end, as fast as it is taken.
func form(ctx context.Context, r *Run, n int) error {
	c, err := r.stranger(ctx, r.HTTP)
	if err != nil {
		return err
	}
	defer c.Close()
	path := []string{"/signin", "/send", "/search"}[n%3]
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nCookie: session=x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 900000000\r\n\r\n", path, r.HTTP)
	field := []byte("--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n" + strings.Repeat("x", 64<<10) + "\r\n")
	for i := 0; i < 1000 && err == nil; i++ {
		_, err = c.Write(field)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// unread sends commands, and reads none of the replies.
func unread(ctx context.Context, r *Run, _ int) error {
	c, err := r.stranger(ctx, r.SMTP)
	if err != nil {
		return err
	}
	defer c.Close()
	commands := []byte(strings.Repeat("HELP\r\n", 5000))
	for range 40 {
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write(commands); err != nil {
			break
		}
	}
	pause(ctx, time.Minute)
	return ctx.Err()
}

// stalled begins a TLS handshake, and goes on with it an octet a second.
func stalled(ctx context.Context, r *Run, _ int) error {
	c, err := r.session(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Cmd(220, "STARTTLS"); err != nil {
		return err
	}
	if err := c.Send([]byte("\x16\x03\x01\x10\x00\x01\x00\x0f\xfc\x03\x03")); err != nil {
		return err
	}
	return drip(ctx, c, "x")
}

// guess tries a wrong password, within TLS: without it strangers may not.
func guess(ctx context.Context, r *Run, n int) error {
	client := bench.Client{Addr: r.POP3, User: r.User, Password: fmt.Sprintf("guess%d", n), Dial: r.dialer(ctx),
		Security: bench.Upgrade, TLS: &tls.Config{InsecureSkipVerify: true}}
	c, err := client.POP3(bench.NewMeter())
	if err == nil {
		c.Close()
		return errors.New("a wrong password was taken")
	}
	if _, refused := errors.AsType[bench.POP3Error](err); refused {
		return nil
	}
	return err
}

// knock connects, and ends within the first command.
func knock(ctx context.Context, r *Run, n int) error {
	c, err := r.stranger(ctx, []string{r.SMTP, r.POP3, r.HTTP}[n%3])
	if err != nil {
		return err
	}
	_, _ = c.Write([]byte("\x16\x03\x01"))
	return c.Close()
}
