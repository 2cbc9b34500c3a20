package router

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseHop_Success(t *testing.T) {
	f := func(in string, want Hop, written string) {
		t.Helper()
		h, err := ParseHop(in)
		if err != nil || h != want {
			t.Errorf("%q: %+v %v", in, h, err)
		}
		if h.String() != written {
			t.Errorf("%q is written %q, want %q", in, h, written)
		}
	}
	f("relay.example", Hop{Kind: ByMX, Host: "relay.example"}, "relay.example")
	f(" Relay.Example. ", Hop{Kind: ByMX, Host: "relay.example"}, "relay.example")
	f("relay.example:587", Hop{Kind: ByMX, Host: "relay.example", Port: 587}, "relay.example:587")
	f("[relay.example]", Hop{Kind: ByHost, Host: "relay.example"}, "[relay.example]")
	f("[localhost]:2525", Hop{Kind: ByHost, Host: "localhost", Port: 2525}, "[localhost]:2525")
	f("[192.0.2.1]:26", Hop{Kind: ByHost, Host: "192.0.2.1", Port: 26}, "[192.0.2.1]:26")
	f("[2001:DB8::1]", Hop{Kind: ByHost, Host: "2001:db8::1"}, "[2001:db8::1]")
	f("[2001:db8::1]:65535", Hop{Kind: ByHost, Host: "2001:db8::1", Port: 65535}, "[2001:db8::1]:65535")
	f("Café.example", Hop{Kind: ByMX, Host: "xn--caf-dma.example"}, "xn--caf-dma.example")
	f("error:5.7.1 We know: [no]", Hop{Kind: Refused, Text: "5.7.1 We know: [no]"}, "error:5.7.1 We know: [no]")
	f("error:", Hop{Kind: Refused}, "error:")
	f("mx", Hop{}, "")
}

func TestParseHop_Failure(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if h, err := ParseHop(in); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), strings.TrimSpace(in)) {
			t.Errorf("%q: %+v %v", in, h, err)
		}
	}
	const form = "a next hop is HOST"
	f("", form)
	f("[]", form)
	f("[relay.example", form)
	f("[relay.example]25", form)
	f("[relay.example]:", "port")
	f("relay.example:", "port")
	f("relay.example:0", "port")
	f("relay.example:smtp", "port")
	f("relay.example:65536", "port")
	f("relay.example:25:26", "port")
	f("[relay.example]:-1", "port")
	f("[a b]", form)
	f("a..b", form)
	f("192.0.2.1", form) // in brackets it is unmistakable
	f("2001:db8::1", "port")
	f("Error:no", "port")
}

// What a hop is written as is read as the same hop.
func TestHopRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Hop{
			Kind: rapid.SampledFrom([]HopKind{ByMX, ByHost}).Draw(t, "kind"),
			Host: rapid.SampledFrom([]string{"a.example", "localhost", "x"}).Draw(t, "host"),
			Port: rapid.Uint16().Draw(t, "port"),
		}
		if want.Kind == ByHost && rapid.Bool().Draw(t, "literal") {
			want.Host = rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1", "::1"}).Draw(t, "address")
		}
		if h, err := ParseHop(want.String()); err != nil || h != want {
			t.Fatalf("%q: %+v %v", want, h, err)
		}
	})
}

func TestNextHop(t *testing.T) {
	rules, err := NewTransports("[smart.example]:587",
		[]string{
			"example.org=[one.example]",
			"Example.org=[never.example]", // the first that fits counts
			".example.org=two.example",
			".sub.example.org=[never.example]",
			"direct.example=mx",
			"closed.example=error:5.7.1 closed",
			"[192.0.2.9]=[two.example]",
		},
		[]string{
			"boss@ours.example=[boss.example]",
			"@ours.example=[ours-out.example]",
			"@mx.example=mx",
		})
	if err != nil {
		t.Fatal(err)
	}
	f := func(domain, sender, hop, rule string) {
		t.Helper()
		h, why := rules.NextHop(domain, sender)
		if h.String() != hop || why != rule {
			t.Errorf("%s from <%s>: %s by %q, want %s by %q", domain, sender, h, why, hop, rule)
		}
	}
	f("example.org", "", "[one.example]", "transport of example.org")
	f("example.org", "boss@ours.example", "[one.example]", "transport of example.org")
	f("sub.example.org", "", "two.example", "transport of .example.org")
	f("a.sub.example.org", "", "two.example", "transport of .example.org")
	f("notexample.org", "", "[smart.example]:587", "smarthost")
	f("direct.example", "boss@ours.example", "direct.example", "transport of direct.example")
	f("closed.example", "", "error:5.7.1 closed", "transport of closed.example")
	f("else.example", "", "[smart.example]:587", "smarthost")
	f("else.example", "Boss@Ours.Example", "[boss.example]", "transport of sender boss@ours.example")
	f("else.example", "clerk@ours.example", "[ours-out.example]", "transport of sender @ours.example")
	f("else.example", `"a@b"@ours.example`, "[ours-out.example]", "transport of sender @ours.example")
	f("else.example", "x@sub.ours.example", "[smart.example]:587", "smarthost")
	f("else.example", "x@mx.example", "else.example", "transport of sender @mx.example")
	f("[192.0.2.9]", "", "[two.example]", "transport of [192.0.2.9]")
	f("[192.0.2.8]", "", "[smart.example]:587", "smarthost")
	f("[192.0.2.8]", "x@mx.example", "[192.0.2.8]", "transport of sender @mx.example")
	if !rules.BySender() {
		t.Error("the sender does not count")
	}
}

// RFC 5321 section 4.1.3: mail for an address literal goes to that address.
func TestNextHopWithoutRules(t *testing.T) {
	rules, err := NewTransports("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := func(domain string, want Hop) {
		t.Helper()
		if h, rule := rules.NextHop(domain, "a@b.example"); h != want || rule != "MX" {
			t.Errorf("%s: %+v by %q", domain, h, rule)
		}
	}
	f("example.org", Hop{Kind: ByMX, Host: "example.org"})
	f("[192.0.2.1]", Hop{Kind: ByHost, Host: "192.0.2.1"})
	f("[ipv6:2001:db8::1]", Hop{Kind: ByHost, Host: "2001:db8::1"})
	if rules.BySender() {
		t.Error("the sender counts")
	}
}

func TestNewTransports_Failure(t *testing.T) {
	f := func(smarthost, transport, sender, want string) {
		t.Helper()
		var transports, senders []string
		if transport != "" {
			transports = []string{transport}
		}
		if sender != "" {
			senders = []string{sender}
		}
		if _, err := NewTransports(smarthost, transports, senders); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q %q %q: %v", smarthost, transport, sender, err)
		}
	}
	f("a b", "", "", `"a b"`)
	f("", "example.org", "", `"example.org": expected PATTERN=NEXTHOP`)
	f("", "example.org=[x", "", `"[x"`)
	f("", "=mx", "", `"=mx": expected PATTERN=NEXTHOP`)
	f("", "", "@example.org", `"@example.org": expected PATTERN=NEXTHOP`)
	f("", "", "@example.org=x:0", "port")
}

// Rules hold for all spellings of their domain, whichever they are written in.
func TestTransportsOfInternationalDomains(t *testing.T) {
	rules, err := NewTransports("", []string{"cafe\u0301.example=[192.0.2.1]", ".TEEHAUS-GRÜN.example=[192.0.2.2]"},
		[]string{"Zoë@Café.example=[192.0.2.3]", "@XN--CAF-DMA.example=[192.0.2.4]"})
	if err != nil {
		t.Fatal(err)
	}
	f := func(domain, sender, host string) {
		t.Helper()
		r := New(newBook("a.example"), settings)
		if hop, rule := r.NextHop(rules, domain, sender); hop.Host != host {
			t.Errorf("%s from %s: %v by %s", domain, sender, hop, rule)
		}
	}
	f("café.example", "", "192.0.2.1")
	f("xn--caf-dma.example", "", "192.0.2.1")
	f("mx.teehaus-grün.example", "", "192.0.2.2")
	f("b.example", "zoe\u0308@xn--caf-dma.example", "192.0.2.3")
	f("b.example", "max@CAFÉ.example", "192.0.2.4")
	f("bücherei.example", "", "xn--bcherei-n2a.example")
}
