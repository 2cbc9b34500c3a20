package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postrider.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if c.SMTP.MaxSize != 50<<20 || c.SMTP.Listen[0].Addr != "127.0.0.1:2525" || c.POP3.Listen[0] != "127.0.0.1:1110" ||
		c.DefaultDomain() != "localhost" || c.Server.Data != "./postrider-data" {
		t.Errorf("%+v", c)
	}
	for _, k := range c.Keys() {
		if k.Changed() {
			t.Errorf("%s is changed", k.Name)
		}
		if k.Help == "" || !strings.HasSuffix(k.Help, ".") {
			t.Errorf("%s: help %q", k.Name, k.Help)
		}
	}
	if got := c.RouterSettings().Literals; len(got) != 3 {
		t.Errorf("literals %v", got)
	}
}

// Every key has a field, so that none is read from a file and then forgotten.
func TestDefaultsAndKeysRoundTrip(t *testing.T) {
	var commented strings.Builder
	if err := Default().WriteDefaults(&commented); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(commented.String()) {
		if len(line) > 160 {
			t.Errorf("long line %q", line)
		}
	}
	var live strings.Builder
	for line := range strings.Lines(commented.String()) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "# "), " = "); ok && !strings.ContainsAny(name, " .:") {
			line = strings.TrimPrefix(line, "# ")
		}
		live.WriteString(line)
	}
	c, err := load(t, live.String())
	if err != nil {
		t.Fatalf("%v in\n%s", err, live.String())
	}
	for _, k := range c.Keys() {
		if k.Changed() {
			t.Errorf("%s: %s, default %s", k.Name, k.Value(), k.Default())
		}
		if !strings.Contains(live.String(), "\n"+k.Base()+" = ") {
			t.Errorf("%s is not in the defaults", k.Name)
		}
	}
}

func TestLoad_Success(t *testing.T) {
	c, err := load(t, `
[server]
hostname = "MX.Example.ORG."
domains = ["Example.org", "b.example"]
[smtp]
max_size = "10MiB"
listen = "[::1]:0"
command_timeout = "1h30m"
trusted_networks = ["10.0.0.7/8", "::1"]
[storage]
durability = "none"
cache = 16777216
[log]
level = "debug"
[pop3]
apop = true
login_delay = "2m"
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Server.Hostname != "mx.example.org" || c.DefaultDomain() != "example.org" || c.SMTP.MaxSize != 10<<20 ||
		c.SMTP.CommandTimeout != 90*time.Minute || c.Storage.Durability != DurabilityNone || !c.POP3.APOP {
		t.Errorf("%+v", c)
	}
	var b strings.Builder
	c.WriteChanged(&b)
	want := `[server]
hostname = "mx.example.org"
domains = ["example.org", "b.example"]

[smtp]
listen = ["[::1]:0"]
max_size = "10MiB"
command_timeout = "1h30m"
trusted_networks = ["10.0.0.0/8", "::1/128"]

[pop3]
apop = true
login_delay = "2m"

[storage]
cache = "16MiB"
durability = "none"

[log]
level = "debug"
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}

func TestLoad_Failure(t *testing.T) {
	f := func(text string, wants ...string) {
		t.Helper()
		_, err := load(t, text)
		if err == nil {
			t.Errorf("%q: no error", text)
			return
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %q lacks %q", text, err, want)
			}
		}
	}
	f("[smtp]\nmax_size = \"1KiB\"", "postrider.toml:2: smtp.max_size: 1KiB is out of bounds; allowed: 64KiB to 2GiB (RFC 5321 section 4.5.3.1.7")
	f("[smtp]\n\nmax_sise = 3", "toml:3: smtp.max_sise: no such key; did you mean max_size?")
	f("[smpt]\nmax_size = 3", "toml:1: smpt: no such group; did you mean [smtp]?")
	f("[smtp]\nmax_size = 3\nbare_lf = \"maybe\"\n[pop3]\nidle_timeout = 600",
		"toml:2: smtp.max_size", `toml:3: smtp.bare_lf: unknown value "maybe"; allowed: "reject" or "normalize"`,
		"toml:5: pop3.idle_timeout: a duration needs a unit")
	f("[pop3]\nexpire_days = 30", "toml:2: pop3.expire_days: this key was removed: ", "nothing ever expired by it; pop3.expire = ")
	f("[pop3]\napop = true\nexpire_days = -1\nidle_timeout = 600", "toml:3: pop3.expire_days: ", "deletes mail that is older", "toml:4: pop3.idle_timeout: a duration")
	f("[smtp]\nexpire_days = 3", "smtp.expire_days: no such key; [smtp] has")
	f("smtp = 3", "smtp")
	f("[smtp", "toml:1:")
	f("[smtp]\nlisten = [\"127.0.0.1\"]", "is not HOST:PORT")
	f("[smtp]\nlisten = [\"127.0.0.1:99999\"]", "port")
	f("[smtp]\nlisten = [3]", "3 in the list is not a string")
	f("[smtp]\nmax_errors = 1.5", "1.5 is not an integer")
	f("[smtp.max_size]\nx = 3", "smtp.max_size: a table is not a size")
	f("[pop3]\napop = \"yes\"", "not a boolean; allowed: true or false")
	f("[server]\nhostname = \"a..b\"", "toml:2: server.hostname")
	f("[log]\nlevel = \"loud\"", `allowed: "debug", "info", "warn" or "error"`)
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

// A key is either there or retired, and the error for each retired one tells what to do.
func TestRetiredKeys(t *testing.T) {
	c := Default()
	for name, advice := range retired {
		group, base, ok := strings.Cut(name, ".")
		if c.Key(name) != nil || !ok || base == "" || !c.hasGroup(group) || !strings.Contains(advice, "; ") {
			t.Errorf("%s: %q", name, advice)
		}
	}
}

func TestCheckLooksAtKeysTogether(t *testing.T) {
	c, err := load(t, "[server]\ndomains = []\n[smtp]\nlisten = []\n[pop3]\nlisten = []\n[auth]\nargon2_memory = \"64KiB\"\nargon2_threads = 16")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Check()
	for _, want := range []string{"server.domains: ", "smtp.listen: ", "auth.argon2_memory: 64KiB is less than 8KiB"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestFlagsOverrideTheFile(t *testing.T) {
	c, err := load(t, "[smtp]\nlisten = [\"127.0.0.1:25\", \"127.0.0.2:25\"]")
	if err != nil {
		t.Fatal(err)
	}
	k := c.Key("smtp.listen")
	for _, addr := range []string{"127.0.0.1:0", ":2526 bare_lf=normalize"} {
		if err := k.Set(addr); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.Value(); got != `["127.0.0.1:0", ":2526 bare_lf=normalize"]` || c.SMTP.Listen[1].BareLF != BareLFNormalize {
		t.Error(got)
	}
	for _, wrong := range []string{"nowhere", ":25 bare_lf=maybe", ":25 normalize"} {
		if err := k.Set(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func TestOctetsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n")
		if got, err := readOctets(writeOctets(n)); got != n || err != nil {
			t.Fatalf("%d -> %s -> %d %v", n, writeOctets(n), got, err)
		}
	})
	f := func(in string, want int64) {
		t.Helper()
		if got, err := readOctets(in); got != want || err != nil {
			t.Errorf("%q: %d %v", in, got, err)
		}
	}
	f("0", 0)
	f("512", 512)
	f("512B", 512)
	f("5kB", 5000)
	f("5 KiB", 5120)
	f("1gib", 1<<30)
	for _, bad := range []string{"", "MiB", "5 bananas", "9999999999GiB", "1.5MiB", "5M B"} {
		if n, err := readOctets(bad); err == nil {
			t.Errorf("%q: %d", bad, n)
		}
	}
}

// The levels of TLS: of single destinations before that of all.
func TestTLSRules(t *testing.T) {
	c, err := load(t, "[relay]\ntls_default = \"encrypt\"\ntls = [\"b.test none\", \"[smtp.c.test]:587 verify\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := c.TLSRules()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"a.test": "encrypt", "b.test": "none"} {
		if level, _ := rules.Level(host, host); level.String() != want {
			t.Errorf("%s: %s", host, level)
		}
	}
	if level, _ := rules.Level("[smtp.c.test]:587", "smtp.c.test"); level.String() != "verify" {
		t.Errorf("the smarthost: %s", level)
	}
	for _, bad := range []string{"tls_default = \"strong\"", "tls = [\"b.test\"]", "tls = [\"b.test strong\"]", "tls_default = 1", "dnssec = \"maybe\""} {
		if _, err := load(t, "[relay]\n"+bad+"\n"); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// An address keeps its options when the port that was picked for it is set.
func TestSetAddressesKeepOptions(t *testing.T) {
	c := Default()
	c.SMTP.Listen = []SMTPListener{{Addr: "127.0.0.1:0", BareLF: BareLFNormalize}}
	for _, l := range c.Listeners() {
		if l.Name == "smtp" {
			l.Set([]string{"127.0.0.1:25", "127.0.0.2:25"})
		}
	}
	want := []SMTPListener{{Addr: "127.0.0.1:25", BareLF: BareLFNormalize}, {Addr: "127.0.0.2:25"}}
	if !slices.Equal(c.SMTP.Listen, want) {
		t.Errorf("%v", c.SMTP.Listen)
	}
}
