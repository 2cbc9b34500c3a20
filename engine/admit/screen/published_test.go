package screen

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/engine/edge/dns/dnstest"
)

// dkimpy is where Debian's python3-dkim has the sample messages of its own tests.
const dkimpy = "/usr/lib/python3/dist-packages/dkim/tests/data"

// sample reads a message or a record that python3-dkim ships.
func sample(t *testing.T, name string) string {
	t.Helper()
	octets, err := os.ReadFile(filepath.Join(dkimpy, name))
	if os.IsNotExist(err) && os.Getenv("CI") == "" {
		t.Skip("Debian's python3-dkim is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(octets), "\r\n", "\n"), "\n", "\r\n")
}

// rfc8463 is the message of RFC 8463 appendix A.3, signed by both of its keys.
const rfc8463 = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n" +
	" d=football.example.com; i=@football.example.com;\r\n" +
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n" +
	" subject : date : message-id : from : subject : date;\r\n" +
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n" +
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n" +
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n" +
	" d=football.example.com; i=@football.example.com;\r\n" +
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n" +
	" date : message-id : from : subject : date;\r\n" +
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n" +
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n" +
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n" +
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n" +
	"From: Joe SixPack <joe@football.example.com>\r\n" +
	"To: Suzie Q <suzie@shopping.example.net>\r\n" +
	"Subject: Is dinner ready?\r\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n" +
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n" +
	"\r\n" +
	"Hi.\r\n" +
	"\r\n" +
	"We lost the game.  Are you hungry yet?\r\n" +
	"\r\n" +
	"Joe.\r\n"

// The keys of RFC 8463 appendix A.2.
const (
	rfc8463Ed25519 = `brisbane._domainkey.football.example.com. 60 IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="`
	rfc8463RSA     = `test._domainkey.football.example.com. 60 IN TXT "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/b" "yYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"`
)

// The messages were published with their signatures and keys. The expected results
// are the publisher's, unless a comment tells why not.
func TestPublishedSignatures(t *testing.T) {
	server := dnstest.Start(t, rfc8463Ed25519, rfc8463RSA,
		`sed._domainkey.test.ex. 60 IN TXT "`+strings.TrimSpace(sample(t, "eximtest.dns"))+`"`)
	v := vetterOf(server)
	f := func(name, text string, want ...Result) {
		t.Helper()
		verdict := check(t, v, Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "c.test", Sender: "x@nothing.test"}, text, hang)
		var got []Result
		for _, s := range verdict.Signatures {
			got = append(got, s.Result)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d signatures, %v", name, len(got), verdict.Signatures)
			return
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: signature %d: %+v, should be %s", name, i+1, verdict.Signatures[i], want[i])
			}
		}
	}
	f("RFC 8463", rfc8463, Pass, Pass)
	f("RFC 8463, its body altered", strings.Replace(rfc8463, "lost the game", "won the game", 1), Fail, Fail)
	f("RFC 8463, its subject altered", strings.Replace(rfc8463, "dinner ready?\r\nDate", "dinner late?\r\nDate", 1), Fail, Fail)
	f("RFC 8463, a second From", strings.Replace(rfc8463, "From: Joe", "From: Eve <eve@evil.test>\r\nFrom: Joe", 1), Fail, Fail)
	f("RFC 8463, refolded and respaced", strings.Replace(rfc8463, "Subject: Is dinner ready?", "SUBJECT:   Is dinner\r\n\tready?  ", 1), Pass, Pass)

	both, alone := sample(t, "rfc6376.signed.msg"), sample(t, "rfc6376.signed.rsa.msg")
	f("rfc6376.signed.msg", both, Pass, Pass)
	f("rfc6376.signed.rsa.msg", alone, Pass)
	f("rfc6376.signed.msg, respaced", strings.Replace(both, "Subject: Is", "Subject:  Is", 1), Fail, Fail)
	f("rfc6376.msg", sample(t, "rfc6376.msg"))
	f("rfc6376.w1258.msg", sample(t, "rfc6376.w1258.msg"))
	f("ed25519test2.msg, by Exim", sample(t, "ed25519test2.msg"), Pass)
}

// The examples of RFC 7489 appendix B.1: which identifiers are aligned. Their
// signatures are made here, for the RFC prints none; the policies are relaxed
// unless the appendix has others.
func TestPublishedAlignment(t *testing.T) {
	keys := map[string]signer{}
	records := []string{
		`_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject"`,
		`example.com. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`,
		`child.example.com. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`,
		`example.net. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`,
		`_dmarc.child.example.com. 60 IN TXT "v=DMARC1; p=reject"`,
	}
	for _, domain := range []string{"example.com", "child.example.com", "sample.net"} {
		keys[domain] = newSigner(t, "s._domainkey."+domain+".", true)
		records = append(records, keys[domain].record)
	}
	v := vetterOf(dnstest.Start(t, records...))
	f := func(example, sender, signed, author string, want Result) {
		t.Helper()
		text := "From: " + author + "\r\nDate: Fri, Feb 15 2002 16:54:30 -0800\r\nTo: receiver@example.org\r\nSubject: here's a sample\r\n\r\nx\r\n"
		if signed != "" {
			text = keys[signed].sign(t, signed, text)
		}
		verdict := check(t, v, Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example.com", Sender: sender}, text, hang)
		if verdict.DMARC.Result != want {
			t.Errorf("example %s: %+v, should be %s", example, verdict.DMARC, want)
		}
	}
	f("B.1.1-1", "sender@example.com", "", "sender@example.com", Pass)
	f("B.1.1-2", "sender@child.example.com", "", "sender@example.com", Pass)
	f("B.1.1-3", "sender@example.net", "", "sender@child.example.com", Fail)
	f("B.1.2-1", "x@nothing.test", "example.com", "sender@example.com", Pass)
	f("B.1.2-2", "x@nothing.test", "example.com", "sender@child.example.com", Pass)
	f("B.1.2-3", "x@nothing.test", "sample.net", "sender@child.example.com", Fail)

	strict := vetterOf(dnstest.Start(t, append(records[1:len(records):len(records)],
		`_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject; adkim=s; aspf=s"`)...))
	relaxed := v
	v = strict
	f("B.1.1-2, strict", "sender@child.example.com", "", "sender@example.com", Fail)
	f("B.1.1-1, strict", "sender@example.com", "", "sender@example.com", Pass)
	f("B.1.2-1 by a child, strict", "x@nothing.test", "child.example.com", "sender@example.com", Fail)
	v = relaxed
	f("B.1.2-1 by a child", "x@nothing.test", "child.example.com", "sender@example.com", Pass)
}
