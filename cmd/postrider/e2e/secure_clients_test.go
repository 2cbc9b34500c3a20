package e2e

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// call is how a client shall reach the server.
type call struct {
	host, port string
	mode       mode
	authority  *authority
	mechanism  string // "": no login
	word       string // the password
}

// submitter is a client that sends a file to recipients within TLS, after a login as
// reader. It reports whether all of it went well.
type submitter struct {
	program    string
	mechanisms []string
	send       func(t *testing.T, c call, file string, to []string) bool
}

var submitters = []submitter{
	{"openssl", []string{"PLAIN", "LOGIN"}, submitOpenSSL},
	{"swaks", []string{"PLAIN", "LOGIN", "CRAM-MD5"}, submitSwaks},
	{"curl", []string{"PLAIN", "LOGIN", "CRAM-MD5"}, submitCurl}, // Debian's has no SCRAM
	{"msmtp", []string{"SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5"}, submitMsmtp},
	{"python3", []string{"PLAIN", "LOGIN", "CRAM-MD5"}, submitSmtplib},
	{"node", []string{"PLAIN", "LOGIN", "CRAM-MD5"}, submitNodemailer},
}

// collector is a client that fetches all messages of reader within TLS. It returns
// what it printed or stored, and whether it went well.
type collector struct {
	program    string
	mechanisms []string
	fetch      func(t *testing.T, c call) (text string, ok bool)
}

var collectors = []collector{
	{"openssl", []string{"USER", "PLAIN"}, collectOpenSSL},
	{"curl", []string{"PLAIN", "LOGIN", "CRAM-MD5"}, collectCurl},
	{"mpop", []string{"SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5", "USER"}, collectMpop},
	{"python3", []string{"USER"}, collectPoplib},
	{"fetchmail", []string{"USER"}, collectFetchmail},
}

// openMechanisms is the configuration of a server that any mechanism may be tried
// at as often as one likes, from a network that may not relay.
const openMechanisms = "[auth]\nmechanisms = [\"SCRAM-SHA-256-PLUS\", \"SCRAM-SHA-256\", \"CRAM-MD5\", \"PLAIN\", \"LOGIN\"]\n" +
	"failure_delay = \"0s\"\nfailures_per_network = 0\nscram_iterations = 4096\n[relay]\nnetworks = [\"192.0.2.0/24\"]\n"

// Mail clients submit within TLS, in every mode and by every mechanism that they
// can: to an account here and, since they have logged in, to another host. Without
// a login or with a wrong password the other host is refused to them.
func TestSubmissionWithinTLS(t *testing.T) {
	a := newAuthority(t)
	far := newServer(t)
	far.run("domain", "add", "far.example")
	far.importAccounts([]string{"friend@far.example"})
	far.start()
	s := secureServer(t, a, openMechanisms+fmt.Sprintf("smarthost = \"[127.0.0.1]:%s\"\n", portOf(t, far.smtp[0])), "reader")
	s.start()
	relayed := make(map[string]bool)
	for _, client := range submitters {
		for _, m := range []mode{upgraded, implicit} {
			for _, mechanism := range client.mechanisms {
				subject := fmt.Sprintf("%s %s %s", client.program, m, mechanism)
				t.Run(subject, func(t *testing.T) {
					needClient(t, client.program)
					c := call{mode: m, authority: a, mechanism: mechanism, word: password("reader")}
					c.host, c.port = s.address("smtp", m)
					file := write(t, "mail", []byte("From: reader@localhost\r\nSubject: "+subject+"\r\n\r\nwithin TLS\r\n"))
					if !client.send(t, c, file, []string{"reader@localhost", "friend@far.example"}) {
						t.Fatal("refused with the right password")
					}
					relayed[subject] = true
					arrived(t, s, subject)
					if c.word = "another word"; client.send(t, c, file, []string{"reader@localhost", "friend@far.example"}) {
						t.Error("taken with a wrong password")
					}
				})
			}
			t.Run(fmt.Sprintf("%s %s no login", client.program, m), func(t *testing.T) {
				needClient(t, client.program)
				c := call{mode: m, authority: a}
				c.host, c.port = s.address("smtp", m)
				file := write(t, "mail", []byte("Subject: nobody\r\n\r\nis logged in\r\n"))
				if client.send(t, c, file, []string{"friend@far.example"}) {
					t.Error("relayed for anybody")
				}
				if !client.send(t, c, file, []string{"reader@localhost"}) {
					t.Error("mail for an account here is refused")
				}
				arrived(t, s, "nobody")
			})
		}
	}
	came := make(map[string]bool)
	for deadline := time.Now().Add(patience); len(came) < len(relayed) && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		for _, message := range far.fetch("friend@far.example", true) {
			came[headerField(message, "subject")] = true
		}
	}
	for subject := range relayed {
		if !came[subject] {
			t.Errorf("%s: the message was taken and did not reach the other host", subject)
		}
	}
	if len(came) > len(relayed) {
		t.Errorf("%d messages were relayed, %d may have been", len(came), len(relayed))
	}
	s.check()
	s.terminate()
	far.terminate()
}

// arrived wants one message with this subject in the maildrop of reader, and no
// other, and empties it. Its Received field has the protocol (RFC 3848).
func arrived(t *testing.T, s *server, subject string) {
	t.Helper()
	messages := s.fetch("reader", true)
	if len(messages) != 1 || headerField(messages[0], "subject") != subject {
		t.Fatalf("%d messages came, want one with the subject %s\n%s", len(messages), subject, messages)
	}
	with := " with ESMTPSA "
	if subject == "nobody" {
		with = " with ESMTPS "
	}
	if received := headerField(messages[0], "received"); !strings.Contains(strings.Join(strings.Fields(received), " "), with) {
		t.Errorf("the Received field lacks %q: %s", with, received)
	}
}

// Mail clients fetch within TLS, in every mode and by every mechanism that they can.
func TestCollectionWithinTLS(t *testing.T) {
	a := newAuthority(t)
	s := secureServer(t, a, openMechanisms, "reader")
	s.start()
	for _, client := range collectors {
		for _, m := range []mode{upgraded, implicit} {
			for _, mechanism := range client.mechanisms {
				subject := fmt.Sprintf("%s %s %s", client.program, m, mechanism)
				t.Run(subject, func(t *testing.T) {
					needClient(t, client.program)
					s.fetch("reader", true)
					s.send("reader", []byte("Subject: "+subject+"\r\n\r\nwithin TLS\r\n"))
					c := call{mode: m, authority: a, mechanism: mechanism, word: password("reader")}
					c.host, c.port = s.address("pop3", m)
					if text, ok := client.fetch(t, c); !ok || !strings.Contains(text, "Subject: "+subject) {
						t.Errorf("with the right password it fetched %q", text)
					}
					c.word = "another word"
					if text, ok := client.fetch(t, c); ok || strings.Contains(text, subject) {
						t.Errorf("with a wrong password it fetched %q", text)
					}
				})
			}
		}
	}
	s.terminate()
}

func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// nodeModules is where Debian installs the modules of node.
const nodeModules = "/usr/share/nodejs"

// needClient is need, and for node also its module.
func needClient(t *testing.T, program string) {
	t.Helper()
	need(t, program)
	if program != "node" {
		return
	}
	if _, err := os.Stat(filepath.Join(nodeModules, "nodemailer")); err != nil {
		missing(t, "nodemailer isn't installed (.ci/run installs what is needed)")
	}
}

// encoded is text as SASL sends it.
func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// submitOpenSSL speaks by hand through openssl s_client.
func submitOpenSSL(t *testing.T, c call, file string, to []string) bool {
	k := openssl(t, "smtp", c.host, c.port, c.mode, c.authority)
	if c.mode == implicit {
		k.expect("", "220 ")
	}
	k.say("EHLO client.example", "250 ")
	switch c.mechanism {
	case "PLAIN":
		k.say("AUTH PLAIN "+encoded("\x00reader\x00"+c.word), "")
	case "LOGIN":
		k.say("AUTH LOGIN", "334 ")
		k.say(encoded("reader"), "334 ")
		k.say(encoded(c.word), "")
	}
	k.say("MAIL FROM:<reader@localhost>", "250 ")
	for _, rcpt := range to {
		if got := k.say("RCPT TO:<"+rcpt+">", ""); !strings.HasPrefix(got, "250 ") {
			return false
		}
	}
	message, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	k.say("DATA", "354 ")
	got := k.say(string(lf(message))+".", "")
	k.say("QUIT", "221 ")
	return strings.HasPrefix(got, "250 ") && k.end() == nil
}

func submitSwaks(t *testing.T, c call, file string, to []string) bool {
	args := []string{"--server", c.host, "--port", c.port, "--from", "reader@localhost", "--to", strings.Join(to, ","), "--data", "@" + file,
		"--tls-ca-path", c.authority.file, "--tls-verify", "--tls-sni", "mx.localhost"}
	if c.mode == implicit {
		args = append(args, "--tls-on-connect")
	} else {
		args = append(args, "--tls")
	}
	if c.mechanism != "" {
		args = append(args, "--auth", c.mechanism, "--auth-user", "reader", "--auth-password", c.word)
	}
	return succeeds(t, "", "swaks", args...)
}

// url is that of curl, which sends, and asks for a certificate of, that name.
func (c call) url(protocol string) []string {
	args := []string{"--silent", "--show-error", "--cacert", c.authority.file}
	if c.mode == implicit {
		protocol += "s"
	} else {
		args = append(args, "--ssl-reqd")
	}
	args = append(args, "--connect-to", "mx.localhost:"+c.port+":"+c.host+":"+c.port)
	if c.mechanism != "" {
		args = append(args, "--user", "reader:"+c.word, "--login-options", "AUTH="+c.mechanism)
	}
	return append(args, protocol+"://mx.localhost:"+c.port+"/")
}

func submitCurl(t *testing.T, c call, file string, to []string) bool {
	args := append(c.url("smtp"), "--mail-from", "reader@localhost", "--upload-file", file)
	for _, rcpt := range to {
		args = append(args, "--mail-rcpt", rcpt)
	}
	return succeeds(t, "", "curl", args...)
}

func submitMsmtp(t *testing.T, c call, file string, to []string) bool {
	message, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--file=/dev/null", "--host=" + c.host, "--port=" + c.port, "--from=reader@localhost",
		"--tls=on", "--tls-trust-file=" + c.authority.file, "--tls-starttls=" + map[mode]string{implicit: "off", upgraded: "on"}[c.mode]}
	if c.mechanism != "" {
		args = append(args, "--auth="+strings.ToLower(c.mechanism), "--user=reader", "--passwordeval=echo '"+c.word+"'")
	}
	return succeeds(t, string(lf(message)), "msmtp", append(append(args, "--"), to...)...)
}

// words are the arguments of the scripts in testdata.
func (c call) words(file string, to []string) []string {
	return append([]string{c.host, c.port, c.mode.String(), c.authority.file, c.mechanism, "reader", c.word, "reader@localhost", file}, to...)
}

func submitSmtplib(t *testing.T, c call, file string, to []string) bool {
	return succeeds(t, "", "python3", append([]string{"testdata/secure_send.py"}, c.words(file, to)...)...)
}

func submitNodemailer(t *testing.T, c call, file string, to []string) bool {
	args := append([]string{"NODE_PATH=" + nodeModules, "node", "testdata/nodemailer.cjs"}, c.words(file, to)...)
	return succeeds(t, "", "env", args...)
}

// collectOpenSSL speaks by hand through openssl s_client.
func collectOpenSSL(t *testing.T, c call) (string, bool) {
	k := openssl(t, "pop3", c.host, c.port, c.mode, c.authority)
	if c.mode == implicit {
		k.expect("", "+OK")
	}
	var got string
	if c.mechanism == "USER" {
		k.say("USER reader", "+OK")
		got = k.say("PASS "+c.word, "")
	} else {
		got = k.say("AUTH PLAIN "+encoded("\x00reader\x00"+c.word), "")
	}
	if !strings.HasPrefix(got, "+OK") {
		return got, false
	}
	k.say("RETR 1", "+OK")
	var text strings.Builder
	for line := k.line(); line != "."; line = k.line() {
		text.WriteString(line + "\n")
	}
	k.say("QUIT", "+OK")
	return text.String(), k.end() == nil
}

func collectCurl(t *testing.T, c call) (string, bool) {
	args := c.url("pop3")
	args[len(args)-1] += "1"
	file := filepath.Join(t.TempDir(), "mail")
	ok := succeeds(t, "", "curl", append(args, "--output", file)...)
	return readIfAny(t, file), ok
}

func collectMpop(t *testing.T, c call) (string, bool) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mbox")
	config := fmt.Sprintf("account default\nhost %s\nport %s\nuser reader\npassword %q\nauth %s\ntls on\ntls_starttls %s\ntls_trust_file %s\nkeep on\nuidls_file %s\ndelivery mbox %s\n",
		c.host, c.port, c.word, strings.ToLower(c.mechanism), map[mode]string{implicit: "off", upgraded: "on"}[c.mode],
		c.authority.file, filepath.Join(dir, "uidls"), file)
	ok := succeeds(t, "", "mpop", "--quiet", "--file="+write(t, "mpoprc", []byte(config)))
	return readIfAny(t, file), ok
}

func collectPoplib(t *testing.T, c call) (string, bool) {
	out, err := exec.CommandContext(t.Context(), "python3", "testdata/secure_fetch.py", c.host, c.port, c.mode.String(), c.authority.file, "reader", c.word).Output()
	return string(out), err == nil
}

func collectFetchmail(t *testing.T, c call) (string, bool) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mail")
	how := "sslproto \"auto\""
	if c.mode == implicit {
		how += " ssl"
	}
	config := fmt.Sprintf("set invisible\npoll 127.0.0.1 protocol pop3 service %s auth password\n  user \"reader\" password \"%s\" is \"nobody\" here\n"+
		"  fetchall keep %s sslcertck sslcertfile %s sslcommonname mx.localhost\n  mda \"sh -c 'cat >%s'\"\n", c.port, c.word, how, c.authority.file, file)
	ok := succeeds(t, "", "fetchmail", "--silent", "--nosyslog", "--nodetach", "--fetchmailrc", write(t, "fetchmailrc", []byte(config)),
		"--idfile", filepath.Join(dir, "ids"), "--pidfile", filepath.Join(dir, "pid"))
	return readIfAny(t, file), ok
}

// readIfAny reads what a client stored; nothing if it stored nothing.
func readIfAny(t *testing.T, file string) string {
	t.Helper()
	octets, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(octets)
}
