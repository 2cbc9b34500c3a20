package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// named is the program under another name, for programs that call sendmail, with
// the configuration where such a one finds it.
func (s *server) named(name string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.Symlink(binary, path); err != nil {
		s.t.Fatal(err)
	}
	s.t.Setenv("POSTRIDER_CONFIG", write(s.t, "postrider.toml", fmt.Appendf(nil, "[server]\ndata = %q\nhostname = \"mx.localhost\"\n", s.data)))
	return path
}

// Under the name sendmail the program takes mail from other programs, whether a
// server runs or not.
func TestSendmail(t *testing.T) {
	s := newServer(t, "reader", "other")
	sendmail := s.named("sendmail")
	const text = "To: Reader <reader@localhost>, other\nBcc: reader\nSubject: lunch\n\nCan we have lunch?\n..\n"
	execute(t, []byte(text+".\nnot this\n"), sendmail, "-t", "-f", "boss@client.example")
	s.start()
	id := strings.TrimSpace(strings.TrimPrefix(execute(t, []byte(text), sendmail, "-ti", "-v"), "stored as "))
	eventually(t, "the server logs the message and its deliveries", func() bool {
		log := s.log.String()
		return strings.Contains(log, ": "+id+": uid=") && strings.Contains(log, ": "+id+": to=<reader@localhost>") && strings.Contains(log, ": "+id+": to=<other@localhost>")
	})
	if out := s.run("status"); !strings.Contains(out, "taken 1 (") || strings.Contains(out, "taken 1 (0 B)") || !strings.Contains(out, "delivered 2") {
		t.Errorf("status: %s", out)
	}
	for _, account := range []string{"reader", "other"} {
		got := s.fetch(account, true)
		if len(got) != 2 {
			t.Fatalf("%s: %d messages came out, 2 went in", account, len(got))
		}
		if !bytes.HasPrefix(got[0], []byte("Return-Path: <boss@client.example>\r\n")) || !bytes.Contains(got[1], []byte(" id "+id)) {
			t.Errorf("%s: %q %q", account, got[0], got[1])
		}
		for _, m := range got {
			if !bytes.HasSuffix(m, []byte("\r\n\r\nCan we have lunch?\r\n..\r\n")) || bytes.Contains(m, []byte("Bcc")) {
				t.Errorf("%s: %q", account, m)
			}
		}
	}
	dialogue := execute(t, []byte("EHLO here\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<reader@localhost>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n"), sendmail, "-bs")
	if !strings.HasPrefix(dialogue, "220 ") || !strings.Contains(dialogue, "\r\n221 ") {
		t.Errorf("%q", dialogue)
	}
	if got := s.fetch("reader", true); len(got) != 1 {
		t.Errorf("%d messages by -bs", len(got))
	}
	s.terminate()
	s.check()
}

// s-nail calls sendmail unless it is told otherwise, as mail on Unix always has.
func TestNailCallsSendmail(t *testing.T) {
	heavy(t)
	need(t, "s-nail")
	s := newServer(t, "reader")
	sendmail := s.named("sendmail")
	s.start()
	for range 3 {
		execute(t, []byte("lunch?\n.\n..\n"), "s-nail", "-:/", "-S", "v15-compat=yes", "-S", "mta="+sendmail, "-S", "sendwait", "-r", "boss@client.example", "-s", "lunch", "reader@localhost")
	}
	got := s.fetch("reader", true)
	if len(got) != 3 {
		t.Fatalf("%d messages came out, 3 went in", len(got))
	}
	for _, m := range got {
		if !bytes.Contains(m, []byte("Return-Path: <boss@client.example>")) || !bytes.Contains(m, []byte("\r\n\r\nlunch?\r\n.\r\n..\r\n")) {
			t.Errorf("%q", m)
		}
	}
	s.terminate()
}
