package config

import (
	"path/filepath"
	"strings"
	"testing"
)

// What a server says of its keys makes the same configuration again; relative paths begin
// at its directory.
func TestRunning(t *testing.T) {
	c, err := load(t, `[server]
hostname = "mx.example.org"
domains = ["example.org", "Grün.example"]
data = "mail data"
[smtp]
listen = ["127.0.0.1:0 bare_lf=normalize auth=off", "[::1]:2526"]
max_size = "1MiB"
[tls]
certificates = ["a.pem b.key", "/etc/c.pem"]
client_handshakes = "600/1m"
[relay]
networks = ["10.0.0.0/8"]
retry = ["1m", "1h30m"]
transports = ["a.example=[10.0.0.1]:2525"]
tls = ["a.example verify"]
passwords = "secrets"
[auth]
mechanisms = ["PLAIN", "CRAM-MD5"]
[log]
level = "debug"
[storage]
durability = "none"
`)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r, err := Running(c.Values(), dir)
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{
		"server.data": `"` + filepath.Join(dir, "mail data") + `"`, "relay.passwords": `"` + filepath.Join(dir, "secrets") + `"`,
		"tls.certificates": `["` + filepath.Join(dir, "a.pem") + " " + filepath.Join(dir, "b.key") + `", "/etc/c.pem"]`,
	}
	for _, k := range c.Keys() {
		want := k.Value()
		if p, ok := paths[k.Name]; ok {
			want = p
		}
		if got := r.Key(k.Name); got.Value() != want || got.Line() != 0 {
			t.Errorf("%s: %s at line %d, want %s", k.Name, got.Value(), got.Line(), want)
		}
	}
	values := c.Values()
	values["smtp.of_tomorrow"] = "3"
	delete(values, "smtp.max_size")
	if r, err := Running(values, dir); err != nil || r.SMTP.MaxSize != 50*mib {
		t.Errorf("another version: %v", err)
	}
	values["smtp.max_hops"] = `"many"`
	if _, err := Running(values, dir); err == nil || !strings.Contains(err.Error(), "smtp.max_hops") {
		t.Errorf("%v", err)
	}
}

// A key knows the line that sets it, and a fault of keys together names it.
func TestLines(t *testing.T) {
	c, err := load(t, "[smtp]\nlisten = []\n\n[pop3]\nlisten = [\n]\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"smtp.listen": 2, "pop3.listen": 5, "smtp.max_size": 0} {
		if got := c.Key(name).Line(); got != want {
			t.Errorf("%s: line %d, want %d", name, got, want)
		}
	}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "postrider.toml:2: smtp.listen: neither") {
		t.Errorf("%v", err)
	}
}

func TestNearest(t *testing.T) {
	f := func(word, want string) {
		t.Helper()
		if got := Nearest(word, []string{"account", "alias", "max_size", "listen_tls", "hostname", "version", "data"}); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	f("acount", "account")
	f("acconut", "account")
	f("max-size", "max_size")
	f("MAX_SISE", "max_size")
	f("listentls", "listen_tls")
	f("vers", "version")
	f("host", "hostname")
	f("dat", "data")
	f("da", "")
	f("x", "")
	f("queue", "")
	f("", "")
}

// A file of another mail server is named, and what takes the place of its parameters.
func TestForeign(t *testing.T) {
	f := func(text string, wants ...string) {
		t.Helper()
		_, err := load(t, text)
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: no %q in %v", text, want, err)
			}
		}
	}
	f("myhostname = mx.example.org\nrelayhost=\n", "Postfix (main.cf)", "toml:1: myhostname: in postrider: server.hostname", "toml:2: relayhost")
	f("compatibility_level = 3.6\n", "Postfix (main.cf)")
	f("smtp      inet  n       -       y       -       -       smtpd\n", "Postfix (master.cf)")
	f("protocols = pop3\npassdb {\n}\n", "Dovecot")
	f("begin routers\n", "Exim")
	f("divert(-1)\ndefine(`confX', `1')\n", "Sendmail")
	f("listen on lo\nmatch for any action relay\n", "OpenSMTPD")
	for _, text := range []string{"[server]\nhostname = mx.example.org\n", "# myhostname = x\n[server]\nhostnam = \"x\"\n", "x = 3\n", "[smtp]\nmax_size = \"1MiB\"\n"} {
		if _, err := load(t, text); err != nil && strings.Contains(err.Error(), "this is a configuration of") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
