package serve

import (
	"path/filepath"
	"strings"
	"testing"

	"postrider/cmd/postrider/accounts"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/edge/dns/dnstest"
)

func TestConfigCommands(t *testing.T) {
	s := shelltest.Bare(t, ConfigCommand, accounts.AccountCommand)
	s.Config = s.File("good.toml", "[smtp]\nmax_size = \"1MiB\"\n")
	s.Want(0, "", "config check", "good")
	if out := s.Want(0, "", "config show"); out != "[smtp]\nmax_size = \"1MiB\"\n" {
		t.Errorf("%q", out)
	}
	s.Want(0, "", "config show --json", `"key": "smtp.max_size"`)
	s.Config = s.File("bad.toml", "[smtp]\nmax_size = 1\n")
	for _, line := range []string{"config check", "config show", "account list"} {
		s.Want(sysexits.Config, "", line, "bad.toml:2: smtp.max_size: 1 is out of bounds; allowed: 64KiB")
	}
}

// With --dns the name servers of the configuration are asked.
func TestConfigCheckAsksDNS(t *testing.T) {
	zone := dnstest.Start(t, "mx.example.org. 300 IN A 198.51.100.7", "7.100.51.198.in-addr.arpa. 300 IN PTR mx.example.org.",
		"example.org. 300 IN MX 10 mx.example.org.", `example.org. 300 IN TXT "v=spf1 mx -all"`, `_dmarc.example.org. 300 IN TXT "v=DMARC1; p=none"`)
	s := shelltest.Bare(t, ConfigCommand)
	s.Config = s.File("c.toml", "[server]\nhostname = \"mx.example.org\"\ndomains = [\"example.org\"]\ndata = \""+filepath.Join(s.Dir, "data")+
		"\"\n[smtp]\nlisten = [\"127.0.0.1:0\"]\n[pop3]\nlisten = [\"127.0.0.1:0\"]\n[relay]\nresolvers = [\""+zone.Addr()+"\"]\n")
	s.Want(0, "", "config check", "the configuration is good; warnings: 0")
	s.Want(0, "", "config check --dns", "c.toml:3: warning: server.domains: mail of example.org is not signed", "warnings: 1")
	if err := zone.Set("example.org."); err != nil {
		t.Fatal(err)
	}
	s.Want(sysexits.Config, "", "config test --dns --json", `"line": 3`, "has no MX record and no address")
}

// What is good is an empty list in JSON, and a fault has the exit code that it has in text,
// also one of the machine and not of the file.
func TestConfigCheckJSON(t *testing.T) {
	s := shelltest.Bare(t, ConfigCommand)
	good := "[server]\nhostname = \"mx.example.org\"\ndomains = [\"example.org\"]\ndata = \"" + filepath.Join(s.Dir, "data") +
		"\"\n[limits]\nconnections = 100\n[smtp]\nlisten = [\"127.0.0.1:0\"]\n[pop3]\nlisten = [\"127.0.0.1:0\"]\n"
	s.Config = s.File("good.toml", good)
	if out := s.Want(0, "", "config check --json"); out != "[]\n" && !strings.Contains(out, "limit of open files") {
		t.Errorf("%q", out)
	}
	s.Config = s.File("bad.toml", good+"[tls]\ncertificates = [\"/nowhere\"]\n")
	s.Want(sysexits.Config, "", "config check", "/nowhere")
	s.Want(sysexits.Config, "", "config check --json", "/nowhere", `"warning": false`)
}

// A relative path of the file begins where the server was started, and not where the command
// is typed.
func TestDifferences(t *testing.T) {
	file := config.Default()
	file.Relay.Passwords, file.Auth.RefusedPasswords = "secrets/relay", "/etc/refused"
	file.TLS.Certificates = []config.CertFile{{Cert: "crt.pem", Key: "key.pem"}}
	running := file.At("/srv/mail")
	if found := differences(file, running, "/srv/mail"); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	found := differences(file, running, "/elsewhere")
	if len(found) != 2 || found[0].Key != "tls.certificates" || found[1].Key != "relay.passwords" || found[1].File != `"secrets/relay"` || found[1].Running != `"/srv/mail/secrets/relay"` {
		t.Errorf("%+v", found)
	}
}
