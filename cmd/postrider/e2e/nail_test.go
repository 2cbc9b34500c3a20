package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
)

// s-nail writes its messages itself, so what is compared is what a reader gets
// out of them: the text, and an attachment of every octet value.
func TestNail(t *testing.T) {
	heavy(t)
	need(t, "s-nail")
	s := newServer(t, "reader")
	s.start()
	octets := make([]byte, 100_000)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(octets)
	file := write(t, "octets.bin", octets)
	const text = "Marshall,\nCan we have lunch Monday?\n.\n..\nFrom the office\nJohn\n"
	for range 5 {
		execute(t, []byte(text), "s-nail", "-:/", "-S", "v15-compat=yes", "-S", "mta=smtp://"+s.smtp[0], "-S", "smtp-auth=none", "-S", "smtp-config=-all,ehlo",
			"-S", "sendwait", "-S", "hostname=client.example", "-r", "sender@client.example", "-s", "lunch", "-a", file, "reader@localhost")
	}
	got := s.fetch("reader", true)
	if len(got) != 5 {
		t.Fatalf("%d messages came out, 5 went in", len(got))
	}
	for _, message := range got {
		parts := partsOf(t, message)
		if len(parts) != 2 {
			t.Fatalf("the message has %d parts, want the text and the attachment", len(parts))
		}
		if got := strings.ReplaceAll(string(parts[0]), "\r\n", "\n"); strings.TrimRight(got, "\n")+"\n" != text {
			t.Errorf("the text came out as %q", got)
		}
		if sha256.Sum256(parts[1]) != sha256.Sum256(octets) {
			t.Errorf("the attachment of %d octets came out with %d and another checksum", len(octets), len(parts[1]))
		}
	}
	s.terminate()
}

// partsOf decodes the parts of a multipart message.
func partsOf(t *testing.T, message []byte) (parts [][]byte) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = part
		if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "base64") {
			body = base64.NewDecoder(base64.StdEncoding, part)
		}
		octets, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, octets)
	}
}
