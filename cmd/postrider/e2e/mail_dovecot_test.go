package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const dovecotConfig = `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <%[1]s/pem
ssl_key = <%[1]s/pem
ssl_min_protocol = TLSv1.2
auth_mechanisms = plain login scram-sha-256
auth_failure_delay = 0
disable_plaintext_auth = no
default_login_user = dovenull
default_internal_user = dovecot
first_valid_uid = 1
mail_location = maildir:%[1]s/mail/%%n
passdb {
  driver = passwd-file
  args = %[1]s/passwd
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%[1]s/mail/%%n
}
service anvil {
  chroot =
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = %[2]d
  }
  inet_listener pop3s {
    port = %[3]d
  }
}
service auth {
  unix_listener auth-postfix {
    mode = 0666
  }
}
`

// A dovecot is a Dovecot of the test's own, which gives out the mail in the maildirs of a
// Postfix, and knows passwords for it.
type dovecot struct{ pop3, pop3s string }

// startDovecot starts Dovecot, and stops that one with the test. It takes root.
func startDovecot(t *testing.T, a *authority, mail string) *dovecot {
	t.Helper()
	need(t, "dovecot")
	dir := filepath.Dir(mail)
	ports := [2]int{freePort(t), freePort(t)}
	for name, text := range map[string]string{
		"dovecot.conf": fmt.Sprintf(dovecotConfig, dir, ports[0], ports[1]),
		"passwd":       "reader:{PLAIN}" + password("reader") + "\n",
		"pem":          string(a.issue(t, "ecdsa", "mx.localhost")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// In the foreground, so that it is our own process that ends it.
	cmd := exec.Command("dovecot", "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	said, err := os.Create(filepath.Join(dir, "said")) // no pipe, which idle children would keep open
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log")) // Postfix's too
			said, _ := os.ReadFile(filepath.Join(dir, "said"))
			t.Logf("Dovecot says %s, and the log:\n%s", said, log[max(0, len(log)-8000):])
		}
	})
	d := &dovecot{fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])}
	eventually(t, "Dovecot listens", func() bool {
		c, err := net.Dial("tcp", d.pop3)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return d
}

// The mail client with Postfix and Dovecot, by each way of TLS and by each mechanism.
func TestMailClientWithDovecotAndPostfix(t *testing.T) {
	t.Parallel()
	heavy(t)
	need(t, "dovecot")
	a := newAuthority(t)
	submissions := freePort(t)
	p := startPostfix(t, 9)
	d := startDovecot(t, a, filepath.Join(p.dir, "mail"))
	p.offer(submissions, filepath.Join(p.dir, "pem"))
	c := newMailClient(t)
	with := func(name string, how ...string) {
		c.must(password("reader"), append([]string{"account", "add", name, "--from", "Wörter <reader@postfix.test>", "--user", "reader",
			"--password-stdin", "--ca-file", a.file}, how...)...)
	}
	with("clear", "--pop3", d.pop3, "--pop3-security", "none", "--smtp", p.addr, "--smtp-security", "none")
	with("starttls", "--pop3", d.pop3, "--smtp", p.addr)
	with("tls", "--pop3", d.pop3s, "--pop3-security", "tls", "--smtp", fmt.Sprintf("127.0.0.1:%d", submissions), "--smtp-security", "tls")
	for _, name := range []string{"clear", "starttls", "tls"} {
		c.converse(name, "reader@postfix.test")
	}
	c.tries("clear", "clear text, SCRAM-SHA-256", "clear text, SCRAM-SHA-256")
	c.tries("starttls", "TLS 1.3, SCRAM-SHA-256", "TLS 1.3, SCRAM-SHA-256")
	c.tries("tls", "TLS 1.3, SCRAM-SHA-256", "TLS 1.3, SCRAM-SHA-256")
	large := write(t, "large.bin", make([]byte, 600_000)) // over the limit in Postfix's SIZE
	if _, said, code := c.run("x", "send", "-a", "tls", "--to", "reader@postfix.test", "--attach", large); code != 69 || !strings.Contains(said, "size limit") {
		t.Errorf("a message that is too large: exit code %d, %s", code, said)
	}
	if _, said, code := c.run("x", "send", "-a", "tls", "--to", "nobody@postfix.test"); code != 69 || !strings.Contains(said, "User unknown") {
		t.Errorf("an unknown recipient: exit code %d, %s", code, said)
	}
	c.must("wrong", "account", "add", "mistaken", "--from", "reader@postfix.test", "--user", "reader", "--password-stdin",
		"--ca-file", a.file, "--pop3", d.pop3, "--smtp", p.addr)
	for _, args := range [][]string{{"list", "-a", "mistaken"}, {"send", "-a", "mistaken", "--to", "reader@postfix.test"}} {
		if _, said, code := c.run("x", args...); code != 77 {
			t.Errorf("%q with a wrong password: exit code %d, %s", args, code, said)
		}
	}
	log, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"method=SCRAM-SHA-256", "sasl_method=SCRAM-SHA-256", "TLSv1.3"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the logs of Dovecot and Postfix don't have %q", want)
		}
	}
}

// offer has Postfix offer TLS and logins by Dovecot, and TLS from the start at another port.
func (p *postfix) offer(port int, pem string) {
	p.t.Helper()
	settings := []string{
		"smtpd_tls_security_level=may", "smtpd_tls_cert_file=" + pem, "smtpd_tls_loglevel=1", "smtpd_sasl_auth_enable=yes",
		"smtpd_sasl_type=dovecot", "smtpd_sasl_path=" + filepath.Join(p.dir, "run", "auth-postfix"), "smtpd_sasl_security_options=noanonymous",
	}
	execute(p.t, nil, "postconf", append([]string{"-c", p.dir, "-e"}, settings...)...)
	execute(p.t, nil, "postconf", "-c", p.dir, "-M", "-e", fmt.Sprintf("127.0.0.1:%[1]d/inet=127.0.0.1:%[1]d inet n - n - - smtpd -o smtpd_tls_wrappermode=yes", port))
	execute(p.t, nil, "postfix", "-c", p.dir, "reload")
}
