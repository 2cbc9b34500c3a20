package e2e

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/bench"
)

// A sendingClient hands real mail to the server.
type sendingClient struct {
	program string
	limit   int // messages of the corpus; a slow client gets fewer
	send    func(t *testing.T, host, port string, mail []sample)
	undo    func([]byte) []byte // takes back what the client adds; nil: nothing
}

var sendingClients = []sendingClient{
	{"swaks", 100, sendSwaks, nil},
	{"curl", 1000, sendCurl, nil},
	{"msmtp", 1000, sendMsmtp, nil},
	{"python3", 1000, sendSmtplib, nil},
	{"smtp-source", 100, sendSmtpSource, func(m []byte) []byte { return bytes.TrimSuffix(m, []byte("\r\n")) }},
}

// Each client sends the sample mail; it comes out by POP3 octet for octet apart
// from the trace fields.
func TestSendingClients(t *testing.T) {
	heavy(t)
	for _, client := range sendingClients {
		t.Run(client.program, func(t *testing.T) {
			need(t, client.program)
			mail := samples(t, client.limit)
			s := newServer(t, "reader")
			s.start()
			host, port, err := net.SplitHostPort(s.smtp[0])
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			client.send(t, host, port, mail)
			t.Logf("%s sent %d messages in %.1f s", client.program, len(mail), time.Since(begin).Seconds())
			compare(t, mail, s.fetch("reader", true), client.undo)
			if left := s.fetch("reader", false); len(left) > 0 {
				t.Errorf("%d messages are still there after DELE and QUIT", len(left))
			}
			s.check()
			s.terminate()
		})
	}
}

// execute runs a client with a time limit, fails the test with what it printed
// unless it ends well, and returns that.
func execute(t *testing.T, stdin []byte, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	// Clients look for their configuration at home, and shouldn't find any.
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%.4000s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// write puts octets into a new file of the test.
func write(t *testing.T, name string, octets []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lf is a message with the line ends of a Unix file.
func lf(message []byte) []byte { return bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")) }

// sendSwaks gives swaks the wire form, dot and all: its own massaging would
// replace %TOKENS% and take off an mbox line.
func sendSwaks(t *testing.T, host, port string, mail []sample) {
	for _, m := range mail {
		data := write(t, "data", append(bench.Stuff(m.message), ".\r\n"...))
		execute(t, nil, "swaks", "--server", host, "--port", port, "--from", "sender@client.example", "--to", "reader@localhost",
			"--no-data-fixup", "--data", "@"+data, "--pipeline", "--silent", "2")
	}
}

func sendCurl(t *testing.T, host, port string, mail []sample) {
	for _, m := range mail {
		execute(t, nil, "curl", "--silent", "--show-error", "smtp://"+net.JoinHostPort(host, port)+"/client.example",
			"--mail-from", "sender@client.example", "--mail-rcpt", "reader@localhost", "--upload-file", write(t, "mail", m.message))
	}
}

func sendMsmtp(t *testing.T, host, port string, mail []sample) {
	for _, m := range mail {
		execute(t, lf(m.message), "msmtp", "--file=/dev/null", "--host="+host, "--port="+port, "--auth=off", "--tls=off",
			"--from=sender@client.example", "--undisclosed-recipients=off", "--remove-bcc-headers=off",
			"--set-from-header=off", "--set-date-header=off", "--set-msgid-header=off", "--", "reader@localhost")
	}
}

// sendSmtplib sends all in one session, as files named on the command line.
func sendSmtplib(t *testing.T, host, port string, mail []sample) {
	args := []string{"testdata/send.py", host, port, "reader@localhost"}
	for _, m := range mail {
		args = append(args, write(t, "mail", m.message))
	}
	execute(t, nil, "python3", args...)
}

// sendSmtpSource has Postfix's load generator send prepared mail (-F), to
// which it adds an empty line.
func sendSmtpSource(t *testing.T, host, port string, mail []sample) {
	for _, m := range mail {
		execute(t, nil, "smtp-source", "-F", write(t, "mail", lf(m.message)), "-f", "sender@client.example", "-t", "reader@localhost",
			"inet:"+host+":"+port)
	}
}

// Postfix's load generator in its own way: many sessions, its own text. Every
// message comes out whole, once.
func TestSmtpSource(t *testing.T) {
	heavy(t)
	need(t, "smtp-source")
	s := newServer(t, "reader")
	s.start()
	const messages = 2000
	execute(t, nil, "smtp-source", "-s", "20", "-m", "2000", "-l", "4096", "-f", "sender@client.example", "-t", "reader@localhost", "inet:"+s.smtp[0])
	ids, texts := make(map[string]int), make(map[string]int)
	for _, message := range s.fetch("reader", true) {
		header, text, _ := bytes.Cut(message, []byte("\r\n\r\n"))
		ids[headerField(header, "message-id")]++
		texts[string(text)]++
	}
	if len(ids) != messages {
		t.Errorf("%d different Message-IDs came out, %d went in", len(ids), messages)
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s came out %d times", id, n)
		}
	}
	if len(texts) != 1 {
		t.Errorf("the same text came out in %d forms", len(texts))
	}
	s.terminate()
}

// headerField returns the value of the first field of that name, in lower case,
// or nothing.
func headerField(header []byte, name string) string {
	rest := append(bytes.Clone(header), "\r\n"...)
	for len(rest) > 0 {
		found, next := cutField(rest)
		if found == name {
			return strings.TrimSpace(string(rest[len(name)+1 : len(rest)-len(next)]))
		}
		if found == "" && len(next) == len(rest) {
			break
		}
		rest = next
	}
	return ""
}
