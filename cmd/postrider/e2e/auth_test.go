package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// entrance is one client with one mechanism: whether it got in with the password.
type entrance struct {
	name, program string
	try           func(t *testing.T, host, port, word string) (in bool)
}

// sendingLogins log in by SMTP, as "reader".
var sendingLogins = []entrance{
	{"swaks PLAIN", "swaks", swaks("PLAIN")},
	{"swaks LOGIN", "swaks", swaks("LOGIN")},
	{"swaks CRAM-MD5", "swaks", swaks("CRAM-MD5")},
	{"curl PLAIN", "curl", curl("smtp", "PLAIN")},
	{"curl LOGIN", "curl", curl("smtp", "LOGIN")},
	{"curl CRAM-MD5", "curl", curl("smtp", "CRAM-MD5")},
	{"smtplib PLAIN", "python3", smtplib("plain")},
	{"smtplib LOGIN", "python3", smtplib("login")},
	{"smtplib CRAM-MD5", "python3", smtplib("cram_md5")},
	{"msmtp SCRAM-SHA-256", "msmtp", msmtp("scram-sha-256")},
	{"msmtp PLAIN", "msmtp", msmtp("plain")},
}

// readingLogins log in by POP3, as "reader".
var readingLogins = []entrance{
	{"curl PLAIN", "curl", curl("pop3", "PLAIN")},
	{"curl LOGIN", "curl", curl("pop3", "LOGIN")},
	{"curl CRAM-MD5", "curl", curl("pop3", "CRAM-MD5")},
	{"mpop SCRAM-SHA-256", "mpop", mpop("scram-sha-256")},
	{"mpop PLAIN", "mpop", mpop("plain")},
	{"mpop LOGIN", "mpop", mpop("login")},
	{"mpop CRAM-MD5", "mpop", mpop("cram-md5")},
	{"mpop USER", "mpop", mpop("user")},
}

// Clients that people have get in with the right password and not with another,
// by every mechanism that they can.
func TestLogins(t *testing.T) {
	s := newServer(t)
	account := exec.Command(binary, "account", "add", "reader", "--apop", "--password-stdin", "--data", s.data)
	account.Stdin = strings.NewReader(password("reader") + "\n")
	if out, err := account.CombinedOutput(); err != nil {
		t.Fatalf("account add: %v\n%s", err, out)
	}
	s.configure("[auth]\nmechanisms = [\"SCRAM-SHA-256\", \"CRAM-MD5\", \"PLAIN\", \"LOGIN\"]\nfailure_delay = \"0s\"\n")
	s.start()
	for _, protocol := range []struct {
		name, addr string
		logins     []entrance
	}{{"smtp", s.smtp[0], sendingLogins}, {"pop3", s.pop3[0], readingLogins}} {
		host, port, err := net.SplitHostPort(protocol.addr)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range protocol.logins {
			t.Run(protocol.name+" "+l.name, func(t *testing.T) {
				need(t, l.program)
				if !l.try(t, host, port, password("reader")) {
					t.Error("refused with the right password")
				}
				if l.try(t, host, port, "another word") {
					t.Error("let in with a wrong password")
				}
			})
		}
	}
	s.terminate()
}

// succeeds runs a client and reports whether it ended well.
func succeeds(t *testing.T, stdin, program string, args ...string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s: %v\n%.1000s", program, err, out)
	}
	return err == nil
}

func swaks(mechanism string) func(*testing.T, string, string, string) bool {
	return func(t *testing.T, host, port, word string) bool {
		return succeeds(t, "", "swaks", "--server", host, "--port", port, "--from", "reader@localhost", "--to", "reader@localhost",
			"--auth", mechanism, "--auth-user", "reader", "--auth-password", word)
	}
}

func curl(protocol, mechanism string) func(*testing.T, string, string, string) bool {
	return func(t *testing.T, host, port, word string) bool {
		args := []string{"--silent", "--show-error", "--user", "reader:" + word, "--login-options", "AUTH=" + mechanism, protocol + "://" + net.JoinHostPort(host, port) + "/"}
		if protocol == "smtp" {
			args = append(args, "--mail-from", "reader@localhost", "--mail-rcpt", "reader@localhost", "--upload-file", write(t, "mail", []byte("Subject: x\r\n\r\nx\r\n")))
		}
		return succeeds(t, "", "curl", args...)
	}
}

func smtplib(mechanism string) func(*testing.T, string, string, string) bool {
	return func(t *testing.T, host, port, word string) bool {
		return succeeds(t, "", "python3", "testdata/login.py", host, port, mechanism, "reader", word)
	}
}

func msmtp(mechanism string) func(*testing.T, string, string, string) bool {
	return func(t *testing.T, host, port, word string) bool {
		return succeeds(t, "Subject: x\n\nx\n", "msmtp", "--file=/dev/null", "--host="+host, "--port="+port, "--auth="+mechanism, "--tls=off",
			"--user=reader", "--passwordeval=echo '"+word+"'", "--from=reader@localhost", "--", "reader@localhost")
	}
}

func mpop(mechanism string) func(*testing.T, string, string, string) bool {
	return func(t *testing.T, host, port, word string) bool {
		dir := t.TempDir()
		config := fmt.Sprintf("account default\nhost %s\nport %s\nuser reader\npassword %q\nauth %s\ntls off\nkeep on\nuidls_file %s\ndelivery mbox %s\n",
			host, port, word, mechanism, filepath.Join(dir, "uidls"), filepath.Join(dir, "mbox"))
		return succeeds(t, "", "mpop", "--quiet", "--file="+write(t, "mpoprc", []byte(config)))
	}
}
