package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"strings"
	"testing"

	"postrider/engine/edge/dns/dnstest"
)

// rawClient speaks SMTP octet by octet: no library sends what these tests send.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dialRaw(t *testing.T, addr string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{t, conn, bufio.NewReader(conn)}
	c.expect("220")
	c.say("EHLO client.example", "250")
	return c
}

// say sends text and a line end, and wants a reply with that code.
func (c *rawClient) say(text, code string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	c.expect(code)
}

func (c *rawClient) expect(code string) {
	c.t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, code) {
			c.t.Fatalf("got %q, want %s", line, code)
		}
		return
	}
}

// binary sends a message as BINARYMIME, in chunks.
func (c *rawClient) binary(from, to, message string) {
	c.t.Helper()
	c.say("MAIL FROM:<"+from+"> BODY=BINARYMIME", "250")
	c.say("RCPT TO:<"+to+">", "250")
	half := len(message) / 2
	if _, err := fmt.Fprintf(c.conn, "BDAT %d\r\n%s", half, message[:half]); err != nil {
		c.t.Fatal(err)
	}
	c.expect("250")
	if _, err := fmt.Fprintf(c.conn, "BDAT %d LAST\r\n%s", len(message)-half, message[half:]); err != nil {
		c.t.Fatal(err)
	}
	c.expect("250")
}

// data sends lines as they are, by DATA.
func (c *rawClient) data(from, to, lines string) {
	c.t.Helper()
	c.say("MAIL FROM:<"+from+">", "250")
	c.say("RCPT TO:<"+to+">", "250")
	c.say("DATA", "354")
	c.say(lines+".", "250")
}

// An oddMessage is what a client may send and lax readers stumble over.
type oddMessage struct {
	name  string
	send  func(c *rawClient, from, to string)
	parts []string // decoded
}

func oddMessages() []oddMessage {
	var every bytes.Buffer
	for i := range 4096 {
		every.WriteByte(byte(i % 256))
		every.WriteByte(byte(i / 256 * 37))
	}
	attack := "A\n.\r\n+OK forged\r\n250 forged\r\n\r.\r\n\n..\n\x00.\r\n"
	whole := "Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=oOo\r\nContent-Transfer-Encoding: binary\r\n\r\n" +
		"--oOo\r\nContent-Type: text/plain\r\n\r\nfirst\r\n.\r\nlast\r\n--oOo\r\nContent-Type: application/x-raw\r\nContent-Transfer-Encoding: binary\r\n\r\n" +
		every.String() + "\r\n--oOo\r\nContent-Type: application/x-attack\r\n\r\n" + attack + "\r\n--oOo--\r\n"
	return []oddMessage{
		{"lone dots", func(c *rawClient, from, to string) {
			c.data(from, to, "Subject: dots\r\n\r\n.one\r\n. \r\n..two\r\n.\t.\r\n...\r\n")
		}, []string{"one\r\n \r\n.two\r\n\t.\r\n..\r\n"}},
		{"no MIME", func(c *rawClient, from, to string) { c.binary(from, to, "Subject: attack\r\n\r\n"+attack) }, []string{attack}},
		{"parts", func(c *rawClient, from, to string) { c.binary(from, to, whole) },
			[]string{"first\r\n.\r\nlast", every.String(), attack}},
		{"text after all", func(c *rawClient, from, to string) { c.binary(from, to, "Subject: text\r\n\r\n.\r\nplain\r\n..x\r\n") },
			[]string{".\r\nplain\r\n..x\r\n"}},
	}
}

// decodedParts are the contents of a message's parts.
func decodedParts(t *testing.T, message []byte) (all []string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatalf("%v in %.500q", err, message)
	}
	decode := func(encoding string, r io.Reader) string {
		if encoding == "base64" {
			r = base64.NewDecoder(base64.StdEncoding, r)
		}
		octets, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%v in %.500q", err, message)
		}
		return string(octets)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return []string{decode(m.Header.Get("Content-Transfer-Encoding"), m.Body)}
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%v in %.500q", err, message)
		}
		all = append(all, decode(p.Header.Get("Content-Transfer-Encoding"), p))
	}
}

// sameParts wants each sent message once, whole.
func sameParts(t *testing.T, got [][]byte) {
	t.Helper()
	sent := oddMessages()
	have := make(map[string]bool)
	for _, m := range got {
		have[fmt.Sprintf("%q", decodedParts(t, m))] = true
	}
	for _, m := range sent {
		if !have[fmt.Sprintf("%q", m.parts)] {
			t.Errorf("%s did not come whole", m.name)
		}
	}
	if len(got) != len(sent) {
		t.Errorf("%d messages came, want %d", len(got), len(sent))
	}
}

// What came with lone dots, or as BINARYMIME, is whole at each client, and none of them
// sees an end before the end.
func TestFetchingOddMessages(t *testing.T) {
	t.Parallel()
	for _, client := range fetchingClients {
		t.Run(client.program, func(t *testing.T) {
			t.Parallel()
			need(t, client.program)
			s := newServer(t, "reader")
			s.start()
			c := dialRaw(t, s.smtp[0])
			for _, m := range oddMessages() {
				m.send(c, "a@client.example", "reader@localhost")
			}
			host, port, err := net.SplitHostPort(s.pop3[0])
			if err != nil {
				t.Fatal(err)
			}
			if client.program == "python3" {
				execute(t, nil, "python3", "-c", noopAfterRetr, host, port, "reader", password("reader"))
			}
			got := client.fetch(t, host, port)
			for i := range got {
				if client.undo != nil {
					got[i] = client.undo(got[i])
				}
			}
			sameParts(t, got)
			s.check()
			s.terminate()
		})
	}
}

// noopAfterRetr wants each NOOP after a RETR answered as one.
const noopAfterRetr = `
import poplib, sys
p = poplib.POP3(sys.argv[1], int(sys.argv[2]))
p.user(sys.argv[3]); p.pass_(sys.argv[4])
for n in range(1, p.stat()[0] + 1):
    size = int(p.list(n).split()[2])
    _, lines, got = p.retr(n)
    assert size == got, (n, size, got)
    assert b"forged" not in p.noop()
p.quit()
`

// The same messages reach hosts without BINARYMIME whole, and none of them is returned.
func TestRelayOddMessages(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2")
	names := dnstest.Start(t, "far.test. 300 IN A 127.0.0.2")
	s := startRelay(t, names, port, "", "writer")
	c := dialRaw(t, s.smtp[0])
	for _, m := range oddMessages() {
		m.send(c, "writer@localhost", "r@far.test")
	}
	s.emptied()
	var got [][]byte
	for _, m := range hosts[0].messagesFor("r@far.test") {
		if strings.Contains(m.from, "BINARYMIME") {
			t.Errorf("MAIL had %q", m.from)
		}
		got = append(got, m.text)
	}
	sameParts(t, got)
	if n := len(s.fetch("writer", false)); n > 0 {
		t.Errorf("%d messages were returned", n)
	}
	s.check()
}

// So they reach a Postfix.
func TestRelayOddMessagesToPostfix(t *testing.T) {
	t.Parallel()
	ours := freePort(t)
	p := startPostfix(t, ours)
	s := newServer(t, "writer")
	s.configure(fmt.Sprintf("[relay]\nretry = [\"1s\"]\ntransports = [\"postfix.test=[127.0.0.1]:%s\"]\n", portOf(t, p.addr)))
	s.args = append(s.args, "--smtp", fmt.Sprintf("127.0.0.1:%d", ours))
	s.start()
	c := dialRaw(t, s.smtp[0])
	sent := oddMessages()
	for _, m := range sent {
		m.send(c, "writer@localhost", "relayed@postfix.test")
	}
	s.emptied()
	eventually(t, "Postfix has delivered", func() bool { return len(p.maildrop("relayed")) >= len(sent) })
	sameParts(t, p.maildrop("relayed"))
	s.terminate()
}
