package screen

import (
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns"
	"postrider/engine/edge/dns/dnstest"
)

// vetterOf makes a Vetter that asks this server only.
func vetterOf(server *dnstest.Server) *Vetter {
	return &Vetter{Names: dns.New(dns.Options{Servers: []string{server.Addr()}, Timeout: 10 * time.Second, Attempts: 1})}
}

// The test suite of the SPF project for RFC 7208 (its licence is beside it; the YAML was
// put into JSON, with records as zone files have them), with its zones in a true name
// server. A name that times out in the suite fails here, which is the same to SPF.
func TestSPFSuite(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc7208-tests.json")
	if err != nil {
		t.Fatal(err)
	}
	var suites []struct {
		Description string
		Zone        []string
		Broken      map[string]string
		Tests       map[string]struct {
			Helo, Host, Mailfrom, Skip string
			Result                     []Result
		}
	}
	if err := json.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	run := 0
	for _, suite := range suites {
		t.Run(suite.Description, func(t *testing.T) {
			server := dnstest.Start(t)
			for _, record := range suite.Zone {
				if err := server.Add(record); err != nil {
					t.Fatal(err)
				}
			}
			for name := range suite.Broken {
				server.Behave(name, miekg.TypeANY, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
			}
			v := vetterOf(server)
			for name, test := range suite.Tests {
				if test.Skip != "" { // what the library does not do, in its author's words
					continue
				}
				run++
				c := &Check{vetter: v, env: Envelope{IP: netip.MustParseAddr(test.Host), Helo: test.Helo, Sender: test.Mailfrom}, ctx: t.Context(), ofSPF: dns.NewBudget(maxSPF)}
				if got := c.spf(); !slices.Contains(test.Result, got.Result) {
					t.Errorf("%s: %s, want %s", name, got.Result, test.Result)
				}
			}
		})
	}
	if run < 150 {
		t.Errorf("only %d tests in the suite", run)
	}
}
