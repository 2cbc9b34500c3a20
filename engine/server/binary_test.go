package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strconv"
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/storage"
)

// chunks sends a message by BDAT as BINARYMIME, in chunks of n octets.
func (p *peer) chunks(from, to, text string, n int, want string) string {
	p.t.Helper()
	p.say("MAIL FROM:<"+from+"> BODY=BINARYMIME", "250 ")
	p.say("RCPT TO:<"+to+">", "250 ")
	for len(text) > n {
		p.send(fmt.Sprintf("BDAT %d\r\n%s", n, text[:n]))
		p.expect("250 ")
		text = text[n:]
	}
	p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text))
	return p.expect(want)
}

// fetched is message n of a user as POP3 gives it. Its size is that of LIST, its lines
// are canonical, and the session is in step after it.
func (f *fixture) fetched(t *testing.T, user string, n int) string {
	t.Helper()
	q := f.login(t, user)
	size := strings.Fields(q.say(fmt.Sprintf("LIST %d", n), "+OK"))[2]
	q.say(fmt.Sprintf("RETR %d", n), "+OK "+size)
	text := q.listing()
	q.say("NOOP", "+OK")
	q.say("QUIT", "+OK")
	q.end()
	if strconv.Itoa(len(text)) != size {
		t.Errorf("LIST says %s octets, RETR gave %d", size, len(text))
	}
	if strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n\x00") {
		t.Errorf("not lines: %.2000q", text)
	}
	return text
}

// leaves decodes the parts of a multipart message.
func leaves(t *testing.T, text string) (all []string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		var in io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			in = base64.NewDecoder(base64.StdEncoding, p)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
}

// binaryMail is a message with a part that holds each octet, and lines that lax readers
// take for the end.
func binaryMail(octets int) (text, attached string) {
	var b bytes.Buffer
	b.WriteString("\n.\r\n+OK forged\r\n\r.\r\n.\n\x00.\r\n")
	for i := 0; b.Len() < octets; i++ {
		b.WriteByte(byte(i * 7 >> 3))
	}
	attached = b.String()
	return "From: <a@x.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"==cut==\"\r\n" +
		"Content-Transfer-Encoding: binary\r\n\r\n--==cut==\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n.\r\nEnde" +
		"\r\n--==cut==\r\nContent-Type: image/x-raw\r\nContent-Transfer-Encoding: binary\r\n\r\n" + attached + "\r\n--==cut==--\r\n", attached
}

// RFC 3030 section 3: what came as BINARYMIME is delivered as lines, with each part whole.
func TestBinaryMailIsMadeLines(t *testing.T) {
	f := start(t, nil, nil)
	log := f.listenIn()
	p := f.hello(t)
	for i, octets := range []int{100, 60_000, 300_000} {
		text, attached := binaryMail(octets)
		reply := p.chunks("a@x.test", "jsmith@localhost", text, 40_000, "250 2.0.0 ")
		got := f.fetched(t, "jsmith", i+1)
		parts := leaves(t, got)
		if len(parts) != 2 || parts[0] != "Grüße\r\n.\r\nEnde" || parts[1] != attached {
			t.Fatalf("%d octets: %d parts, %.300q", octets, len(parts), parts)
		}
		id := strings.Fields(reply)[2]
		if strings.Count(got, " id "+id) != 2 || !strings.Contains(got, "X-MIME-Autoconverted: from binary to base64 by ") {
			t.Errorf("Received and the trace field name another id than the reply %q: %.800s", reply, got)
		}
	}
	log.has(t, "converted to lines of text, parts in base64: 1")
	if _, err := f.store.Check(t.Context(), func(fault storage.Fault) { t.Error(fault) }); err != nil {
		t.Error(err)
	}
}

// A message that claims to be binary and is lines stays octet for octet.
func TestBinaryMailThatIsText(t *testing.T) {
	f := start(t, nil, nil)
	p := f.hello(t)
	const text = "Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n.\r\n..\r\n.x\r\nend\r\n"
	p.chunks("a@x.test", "jsmith@localhost", text, 20, "250 2.0.0 ")
	p.chunks("a@x.test", "jsmith@localhost", "Subject: y\r\n\r\nno end", 7, "250 2.0.0 ")
	if got := f.fetched(t, "jsmith", 1); !strings.HasSuffix(got, "\r\n"+text) || strings.Contains(got, "Autoconverted") {
		t.Errorf("got %q", got)
	}
	if got := f.fetched(t, "jsmith", 2); !strings.HasSuffix(got, "\r\n\r\nno end\r\n") {
		t.Errorf("got %q", got)
	}
}

// What is no MIME message becomes base64 as a whole.
func TestBinaryMailWithoutMIME(t *testing.T) {
	f := start(t, nil, nil)
	p := f.hello(t)
	p.chunks("a@x.test", "jsmith@localhost", "Subject: z\r\n\r\nA\n.\r\n+OK 0 forged\r\n", 9, "250 2.0.0 ")
	got := f.fetched(t, "jsmith", 1)
	if !strings.HasSuffix(got, "Subject: z\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString([]byte("A\n.\r\n+OK 0 forged\r\n"))+"\r\n") {
		t.Errorf("got %q", got)
	}
}

// A message that can't be converted, or is too large then, is refused with the reason, and
// the session goes on.
func TestBinaryMailRefused(t *testing.T) {
	f := start(t, func(cfg *config.Config) { cfg.SMTP.MaxSize = 200_000 }, nil)
	p := f.hello(t)
	text, _ := binaryMail(160_000)
	p.chunks("a@x.test", "jsmith@localhost", text, 40_000, "552 5.3.4 Message size exceeds")
	deep := strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 60) + "\r\n\x00"
	p.chunks("a@x.test", "jsmith@localhost", deep, 1000, "554 5.6.3 The message is binary")
	p.chunks("a@x.test", "jsmith@localhost", "A: b\r\n\r\n\x00", 1000, "250 2.0.0 ")
	p.say("QUIT", "221 ")
	if got := f.fetched(t, "jsmith", 1); !strings.Contains(got, "\r\nAA==\r\n") {
		t.Errorf("got %q", got)
	}
	until(t, "nothing is booked", func() bool { return f.budget.Used() == 0 && f.smtpsrv.Stats.CommitsOpen.Load() == 0 })
}

// Our signature is of the message as it is stored.
func TestBinaryMailIsSignedAsConverted(t *testing.T) {
	f := submitting(t, nil)
	p := f.loggedIn(t)
	text, attached := binaryMail(100_000)
	p.chunks("mbrain@localhost", "jsmith@localhost", strings.Replace(text, "a@x.test", "mbrain@localhost", 1), 30_000, "250 2.0.0 ")
	got := f.fetched(t, "jsmith", 1)
	if !f.holds(t, got) {
		t.Errorf("the signature does not hold: %.1500s", got)
	}
	if parts := leaves(t, got); len(parts) != 2 || parts[1] != attached {
		t.Errorf("%d parts", len(parts))
	}
}

// RFC 5321 section 4.5.2: a line that came with one dot before it has none when it leaves.
func TestLoneDotLeavesAsItIs(t *testing.T) {
	f := start(t, nil, nil)
	p := f.hello(t)
	p.say("MAIL FROM:<a@x.test>", "250 ")
	p.say("RCPT TO:<jsmith@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.send("Subject: dots\r\n\r\n.one\r\n..two\r\n. \r\n...\r\n.\r\n")
	p.expect("250 2.0.0 ")
	q := f.login(t, "jsmith")
	q.say("RETR 1", "+OK")
	var wire []string
	for line := q.line(); line != "."; line = q.line() {
		wire = append(wire, line)
	}
	if got := strings.Join(wire[len(wire)-4:], "|"); got != "one|..two| |..." {
		t.Errorf("got %q", got)
	}
	q.say("QUIT", "+OK")
	q.end()
	f.fetched(t, "jsmith", 1)
}
