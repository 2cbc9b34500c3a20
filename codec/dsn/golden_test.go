package dsn

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the messages in testdata")

const original = "Received: from client.example (unknown [192.0.2.7])\r\n\tby mx.example.com (postrider) with ESMTP id 0000000000042;\r\n" +
	"\tSun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\nMessage-ID: <lunch.1@example.com>\r\nFrom: <jsmith@example.com>\r\nSubject: lunch\r\n\r\n" +
	"Can we have lunch Monday?\r\n.\r\n"

var (
	arrival = time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)
	expires = arrival.Add(5 * 24 * time.Hour)
)

// report is one with everything in it that a report of this kind has.
func report(k Kind) *Report {
	r := &Report{
		ReportingMTA: "mx.example.com", To: "jsmith@example.com", MessageID: "0000000000043@mx.example.com", Now: arrival.Add(4*time.Hour + 90*time.Second),
		QueueID: "0000000000042", EnvID: "QQ+20314159", Arrival: arrival, ReceivedFromMTA: "client.example",
		Original: HeaderOf([]byte(original)),
		Recipients: []Recipient{{
			Final: "mbrain@example.org", ORcpt: "rfc822;marshall+2Bbrain@example.net", Action: k,
			RemoteMTA: "mx.example.org[192.0.2.25]:25", DiagnosticType: TypeSMTP, LastAttempt: arrival.Add(4 * time.Hour),
		}},
	}
	p := &r.Recipients[0]
	switch k {
	case Failure:
		p.Status, p.Diagnostic = "5.1.1", "550-5.1.1 The account that you tried to reach\r\n550 5.1.1 does not exist"
		p.Reason = "host mx.example.org[192.0.2.25]:25 said: 550-5.1.1 The account that you tried to reach 550 5.1.1 does not exist (in reply to RCPT TO command)"
		r.Original, r.WholeMessage = []byte(original), true
	case Delay:
		p.Status, p.Reason, p.RemoteMTA, p.DiagnosticType = "4.4.1", "connect to mx.example.org[192.0.2.25]:25: Connection timed out", "", ""
		r.LifetimeEnd = expires
	default:
		p.Status, p.Diagnostic = "2.0.0", "250 2.0.0 Ok: queued as 12345"
	}
	return r
}

// international is a report about mail with SMTPUTF8.
func international() *Report {
	r := report(Failure)
	r.UTF8, r.To = true, "jürgen@bücher.example"
	r.Recipients[0].Final, r.Recipients[0].ORcpt = "用户@例子.example", `utf-8;\x{7528}\x{6237}@example.net`
	r.Recipients[0].Reason, r.Recipients[0].Diagnostic = "", "550 5.1.1 unbekannter Empfänger"
	r.Original = []byte("From: <jürgen@bücher.example>\r\nSubject: Bücher\r\n\r\nGrüße\r\n")
	return r
}

// double is the report of a notification that could not be delivered itself.
func double() *Report {
	r := report(Failure)
	r.DoubleBounce, r.To = true, "postmaster@example.com"
	return r
}

// several has recipients whose words come from different fields.
func several() *Report {
	r := report(Failure)
	r.WholeMessage, r.Original = false, HeaderOf([]byte(original))
	r.Recipients = append(r.Recipients,
		Recipient{Final: "a@example.org", Action: Failure, Status: "4.4.7", Diagnostic: "the message was tried for 5 days, and 450 greylisted was the last reply"},
		Recipient{Final: "b@example.org", Action: Failure, RemoteMTA: "[192.0.2.1]", Diagnostic: "554 no", DiagnosticType: "SMTP"},
		Recipient{Final: `"c d"@example.org`, Action: Failure, Status: "5.1.10"})
	return r
}

// bare is a report of success to a stranger.
func bare() *Report {
	r := report(Success)
	r.Bare = true
	return r
}

// TestGolden: what is written, to read. It is for people, so no test of single
// fields can say that it is good.
func TestGolden(t *testing.T) {
	for name, r := range map[string]*Report{
		"failure": report(Failure), "delay": report(Delay), "success": report(Success), "relayed": report(Relayed), "expanded": report(Expanded),
		"international": international(), "double": double(), "several": several(), "bare": bare(),
	} {
		file := filepath.Join("testdata", name+".eml")
		got := bytes.ReplaceAll(Append(nil, r), []byte("\r\n"), []byte("\n"))
		if *rewrite {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s\n(go test -rewrite writes what comes now)", file, got)
		}
		for line := range strings.Lines(string(got)) {
			if len(line) > 100 {
				t.Errorf("%s: line %q is too long for people", file, line)
			}
		}
	}
}
