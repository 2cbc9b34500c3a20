package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fetchingClient empties a maildrop into files.
type fetchingClient struct {
	program string
	limit   int
	// fetch returns what the client stored, one slice a message.
	fetch func(t *testing.T, host, port string) [][]byte
	// undo takes back exactly what the client's way of storing changes; nil: nothing.
	undo func([]byte) []byte
	// leaves: the client is told not to delete.
	leaves bool
}

var fetchingClients = []fetchingClient{
	{program: "python3", limit: 1000, fetch: fetchPoplib},
	{program: "curl", limit: 100, fetch: fetchCurl, leaves: true},
	{program: "mpop", limit: 1000, fetch: fetchMpop, undo: crlf},
	{program: "fetchmail", limit: 1000, fetch: fetchFetchmail, undo: crlf},
}

// Each client fetches the sample mail; what it stored is what was sent, octet for
// octet apart from the trace fields and the line ends of files.
func TestFetchingClients(t *testing.T) {
	heavy(t)
	for _, client := range fetchingClients {
		t.Run(client.program, func(t *testing.T) {
			need(t, client.program)
			mail := samples(t, client.limit)
			if client.program == "fetchmail" {
				mail = fetchmailKeeps(t, mail)
			}
			s := newServer(t, "reader")
			s.start()
			for _, m := range mail {
				s.send("reader", m.message)
			}
			host, port, err := net.SplitHostPort(s.pop3[0])
			if err != nil {
				t.Fatal(err)
			}
			compare(t, mail, client.fetch(t, host, port), client.undo)
			want := 0
			if client.leaves {
				want = len(mail)
			}
			if left := s.fetch("reader", false); len(left) != want {
				t.Errorf("%d messages are left in the maildrop, want %d", len(left), want)
			}
			s.terminate()
		})
	}
}

// crlf undoes the line ends of a Unix file.
func crlf(stored []byte) []byte { return bytes.ReplaceAll(stored, []byte("\n"), []byte("\r\n")) }

// readAll reads all files below dir.
func readAll(t *testing.T, dir string) (messages [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		octets, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, octets)
	}
	return messages
}

func fetchPoplib(t *testing.T, host, port string) [][]byte {
	dir := t.TempDir()
	execute(t, nil, "python3", "testdata/fetch.py", host, port, "reader", password("reader"), dir)
	return readAll(t, dir)
}

// fetchCurl fetches by number until there is no such message.
func fetchCurl(t *testing.T, host, port string) [][]byte {
	url, login := "pop3://"+net.JoinHostPort(host, port)+"/", "reader:"+password("reader")
	dir := t.TempDir()
	listing := execute(t, nil, "curl", "--silent", "--show-error", "--user", login, url)
	for line := range strings.Lines(listing) {
		var number, size int
		if _, err := fmt.Sscanf(line, "%d %d\r\n", &number, &size); err != nil {
			t.Fatalf("curl lists %q", line)
		}
		file := filepath.Join(dir, fmt.Sprint(number))
		execute(t, nil, "curl", "--silent", "--show-error", "--user", login, "--output", file, url+fmt.Sprint(number))
		if info, err := os.Stat(file); err != nil || info.Size() != int64(size) {
			t.Errorf("message %d has %v octets, the listing says %d (%v)", number, info, size, err)
		}
	}
	return readAll(t, dir)
}

// fetchMpop has mpop pipeline into a maildir.
func fetchMpop(t *testing.T, host, port string) [][]byte {
	return readAll(t, filepath.Join(mpopMaildir(t, host, port), "new"))
}

// mpopMaildir has mpop empty the maildrop of reader into a maildir.
func mpopMaildir(t *testing.T, host, port string) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf("account default\nhost %s\nport %s\nuser reader\npassword %s\nauth user\ntls off\nkeep off\n"+
		"pipelining auto\nreceived_header off\nuidls_file %s\ndelivery maildir %s\n", host, port, password("reader"), filepath.Join(t.TempDir(), "uidls"), dir)
	execute(t, nil, "mpop", "--quiet", "--file="+write(t, "mpoprc", []byte(config)))
	return dir
}

// fetchFetchmail gives each message to a delivery agent that writes a file.
func fetchFetchmail(t *testing.T, host, port string) [][]byte {
	dir := t.TempDir()
	config := fmt.Sprintf("set invisible\npoll %s protocol pop3 service %s bad-header accept\n  user \"reader\" password \"%s\" is \"nobody\" here\n"+
		"  fetchall no keep no rewrite no mimedecode pass8bits no dropstatus sslproto \"\"\n  mda \"sh -c 'cat >$(mktemp %s/XXXXXXXX)'\"\n", host, port, password("reader"), dir)
	execute(t, nil, "fetchmail", "--silent", "--nosyslog", "--nodetach", "--fetchmailrc", write(t, "fetchmailrc", []byte(config)),
		"--idfile", filepath.Join(t.TempDir(), "ids"), "--pidfile", filepath.Join(t.TempDir(), "pid"))
	return readAll(t, dir)
}

// fetchmailKeeps leaves out what fetchmail is known to change: it drops an mbox
// line before the header and adds an empty line where none follows the header.
func fetchmailKeeps(t *testing.T, mail []sample) (kept []sample) {
	for _, m := range mail {
		if !bytes.HasPrefix(m.message, []byte("From ")) && bytes.Contains(m.message, []byte("\r\n\r\n")) {
			kept = append(kept, m)
		}
	}
	t.Logf("%d messages left out that fetchmail changes by itself", len(mail)-len(kept))
	return kept
}
