package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a client has deleted comes back with the unique-ids that it had, also after a
// kill -9: a client that remembers them fetches none of it again.
func TestWhatWasUndeletedIsNotFetchedAgain(t *testing.T) {
	s := newServer(t, "reader")
	s.configure("[storage]\nkeep_deleted = \"7d\"\n")
	s.start()
	for i := range 5 {
		s.send("reader", fmt.Appendf(nil, "Subject: %d\r\n\r\n.a dot\r\n%s", i, strings.Repeat("text\r\n", i*5000)))
	}
	before := s.fetch("reader", false)
	dir := t.TempDir()
	remembers := func() int { // how many messages mpop has fetched, in all
		t.Helper()
		host, port, err := net.SplitHostPort(s.pop3[0])
		if err != nil {
			t.Fatal(err)
		}
		config := fmt.Sprintf("account default\nhost %s\nport %s\nuser reader\npassword %s\nauth user\ntls off\nkeep on\n"+
			"received_header off\nuidls_file %s\ndelivery mbox %s\n", host, port, password("reader"), filepath.Join(dir, "uidls"), filepath.Join(dir, "mbox"))
		execute(t, nil, "mpop", "--quiet", "--file="+write(t, "mpoprc", []byte(config)))
		mbox, err := os.ReadFile(filepath.Join(dir, "mbox"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(mbox), "\nSubject: ")
	}
	if n := remembers(); n != 5 {
		t.Fatalf("mpop has fetched %d messages", n)
	}
	s.fetch("reader", true)
	if n := len(s.fetch("reader", false)); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	s.kill()
	s.start()
	if out := s.run("undelete", "reader"); !strings.Contains(out, "reader@localhost: 5 messages, ") {
		t.Error(out)
	}
	if n := remembers(); n != 5 {
		t.Errorf("mpop has %d messages", n)
	}
	after := s.fetch("reader", false)
	if !slices.EqualFunc(before, after, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Errorf("%d messages, or other octets than before", len(after))
	}
	if out := s.run("account", "remove", "--yes", "reader"); !strings.Contains(out, "brings it back") {
		t.Error(out)
	}
	s.kill()
	s.start()
	s.run("account", "undelete", "reader")
	if n := remembers(); n != 5 {
		t.Errorf("mpop has %d messages", n)
	}
	s.check()
}
