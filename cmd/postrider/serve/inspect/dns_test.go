package inspect

import (
	"slices"
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/engine/edge/dns"
	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/mail/dkim"
)

// described is what DNS says about example.org on mx.example.org, changed by records.
func described(t *testing.T, set func(*config.Config), records ...string) []string {
	t.Helper()
	cfg := config.Default()
	cfg.Server.Hostname, cfg.Server.Domains, cfg.Server.Data = "mx.example.org", []string{"example.org"}, t.TempDir()
	key, err := dkim.Create(cfg.DKIMDir(), "example.org", "s1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(cfg)
	}
	zone := map[string][]string{
		"mx.example.org.":               {"mx.example.org. 300 IN A 198.51.100.7"},
		"7.100.51.198.in-addr.arpa.":    {"7.100.51.198.in-addr.arpa. 300 IN PTR mx.example.org."},
		"example.org.":                  {"example.org. 300 IN MX 10 mx.example.org.", `example.org. 300 IN TXT "v=spf1 mx -all"`},
		"_dmarc.example.org.":           {`_dmarc.example.org. 300 IN TXT "v=DMARC1; p=none"`},
		"s1._domainkey.example.org.":    {`s1._domainkey.example.org. 300 IN TXT "` + key.Value() + `"`},
		"2.0.0.127.list.example.":       {"2.0.0.127.list.example. 300 IN A 127.0.0.2"},
		"unrelated.example.":            {"unrelated.example. 300 IN A 198.51.100.9"},
		"elsewhere.example.":            {"elsewhere.example. 300 IN A 198.51.100.8"},
		"other._domainkey.example.org.": nil,
	}
	replaced := make(map[string]bool)
	for _, r := range records {
		name, _, _ := strings.Cut(r, " ")
		if !replaced[name] {
			zone[name], replaced[name] = nil, true
		}
		if r != name {
			zone[name] = append(zone[name], r)
		}
	}
	server := dnstest.Start(t)
	for _, all := range zone {
		if err := server.Add(all...); err != nil {
			t.Fatal(err)
		}
	}
	names := dns.New(dns.Options{Servers: []string{server.Addr()}, HostsFile: "/dev/null"})
	var said []string
	for _, f := range DNS(t.Context(), cfg, cfg.Server.Domains, names) {
		said = append(said, f.String())
	}
	return said
}

func TestDNS(t *testing.T) {
	f := func(name string, set func(*config.Config), records []string, wants ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			said := described(t, set, records...)
			if len(said) != len(wants) {
				t.Fatalf("%d findings, want %d:\n%s", len(said), len(wants), strings.Join(said, "\n"))
			}
			for _, want := range wants {
				if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, want) }) {
					t.Errorf("no %q in\n%s", want, strings.Join(said, "\n"))
				}
			}
		})
	}
	f("good", nil, nil)
	f("no address", nil, []string{"mx.example.org."}, "mx.example.org has no address in DNS", "names mx.example.org, which has no address")
	f("private address", nil, []string{"mx.example.org. 300 IN A 10.0.0.7"}, "has the address 10.0.0.7, at which other hosts can't reach it")
	f("no PTR", nil, []string{"7.100.51.198.in-addr.arpa."}, "198.51.100.7 has no name in DNS (PTR)")
	f("another PTR", nil, []string{"7.100.51.198.in-addr.arpa. 300 IN PTR host7.provider.example."}, "has the name host7.provider.example in DNS (PTR), not mx.example.org")
	f("no MX", nil, []string{`example.org. 300 IN TXT "v=spf1 ip4:198.51.100.7 -all"`}, `no mail can come: add "example.org. MX 10 mx.example.org."`)
	f("no MX but an address", nil, []string{"example.org. 300 IN A 198.51.100.7", `example.org. 300 IN TXT "v=spf1 a -all"`}, "mail is sent to its own address")
	f("null MX", nil, []string{"example.org. 300 IN MX 0 .", `example.org. 300 IN TXT "v=spf1 ip4:198.51.100.7 -all"`}, "null MX")
	f("MX elsewhere", nil, []string{"example.org. 300 IN MX 10 elsewhere.example.", `example.org. 300 IN TXT "v=spf1 ip4:198.51.100.7 -all"`}, "no MX record of example.org leads to this host")
	f("MX to nothing", nil, []string{"example.org. 300 IN MX 10 mx.example.org.", "example.org. 300 IN MX 20 gone.example.", `example.org. 300 IN TXT "v=spf1 ip4:198.51.100.7 -all"`}, "names gone.example, which has no address")
	f("no SPF", nil, []string{"example.org. 300 IN MX 10 mx.example.org."}, "has no SPF record")
	f("two SPF", nil, []string{"example.org. 300 IN MX 10 mx.example.org.", `example.org. 300 IN TXT "v=spf1 mx -all"`, `example.org. 300 IN TXT "v=spf1 a -all"`}, "has 2 SPF records")
	f("SPF for others", nil, []string{"example.org. 300 IN MX 10 mx.example.org.", `example.org. 300 IN TXT "v=spf1 ip4:203.0.113.1 -all"`}, `comes to "fail"`)
	f("SPF for all", nil, []string{"example.org. 300 IN MX 10 mx.example.org.", `example.org. 300 IN TXT "v=spf1 +all"`}, "lets every host send mail in its name")
	f("smarthost", func(c *config.Config) { c.Relay.Smarthost = "smtp.example.net" }, []string{"example.org. 300 IN MX 10 mx.example.org.", `example.org. 300 IN TXT "v=spf1 include:example.net -all"`})
	f("no DMARC", nil, []string{"_dmarc.example.org."}, "example.org has no DMARC record")
	f("DMARC without a policy", nil, []string{`_dmarc.example.org. 300 IN TXT "v=DMARC1; rua=mailto:a@example.org"`}, "has no policy")
	f("two DMARC", nil, []string{`_dmarc.example.org. 300 IN TXT "v=DMARC1; p=none"`, `_dmarc.example.org. 300 IN TXT "v=DMARC1; p=reject"`}, "has 2 DMARC records")
	f("no key", nil, []string{"s1._domainkey.example.org."}, "whose record is missing")
	f("another key", nil, []string{`s1._domainkey.example.org. 300 IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="`}, "has another key than the file that signs")
	f("revoked key", nil, []string{`s1._domainkey.example.org. 300 IN TXT "v=DKIM1; p="`}, "which means that it was revoked")
	f("not signed", func(c *config.Config) { c.Server.Data = t.TempDir() }, nil, `make a key with "postrider dkim key example.org"`)
	f("list", func(c *config.Config) { c.Policy.Blocklists = []string{"list.example"} }, nil)
	f("dead list", func(c *config.Config) { c.Policy.Blocklists = []string{"gone.example"} }, nil, "gone.example does not list its test entry")
}

// Without a name server there is one finding, and not one for each question.
func TestDNS_NoServer(t *testing.T) {
	server := dnstest.Start(t)
	addr := server.Addr()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Server.Hostname, cfg.Server.Data = "mx.example.org", t.TempDir()
	names := dns.New(dns.Options{Servers: []string{addr}, HostsFile: "/dev/null"})
	found := DNS(t.Context(), cfg, []string{"example.org", "example.net"}, names)
	if len(found) != 1 || found[0].Key != "relay.resolvers" || !strings.Contains(found[0].Text, addr) {
		t.Errorf("%v", found)
	}
}
