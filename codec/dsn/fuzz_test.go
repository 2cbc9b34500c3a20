package dsn

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzAppend: whatever others wrote, the notification is one, of three parts or two, with
// the fields that it has to have and no more, and brings back what it was given.
func FuzzAppend(f *testing.F) {
	f.Add("a@b.example", "c@d.example", "rfc822;c+2Bd", "550 no\r\nway", "mx[192.0.2.1]:25", []byte(original), uint8(0))
	f.Add("ö@b", "x y@\r\n", `utf-8;\x{F6}\x{D}`, strings.Repeat("x", 2000), "\xff", []byte("Subject: \xff\nöö\r\r\n--0.1795402890/h\r\n"+strings.Repeat("ö", 600)), uint8(0xff))
	f.Add("", "", ";", "\u2028\u0085\x00", "]", []byte("--42.1795402890/\r\n--42.1795402890.1"), uint8(0x16))
	f.Fuzz(func(t *testing.T, to, final, orcpt, diagnostic, mta string, original []byte, bits uint8) {
		r := report(Kind(bits % 5))
		r.UTF8, r.WholeMessage, r.DoubleBounce = bits&8 != 0, bits&16 != 0, bits&32 != 0
		r.Bare = bits&128 != 0
		r.To, r.MessageID, r.QueueID, r.EnvID, r.ReceivedFromMTA = to, final, mta, orcpt, diagnostic
		r.Original = original
		r.Recipients = []Recipient{r.Recipients[0], {Final: final, ORcpt: orcpt, Action: r.Recipients[0].Action, Status: mta, RemoteMTA: mta, Diagnostic: diagnostic}}
		if bits&64 != 0 {
			r.Recipients[1].Reason, r.Recipients[1].DiagnosticType = diagnostic, TypeSMTP
		}
		before := bytes.Clone(original)
		b := Append(nil, r)
		lines(t, b)
		p := parse(t, b)
		if !bytes.Equal(before, original) {
			t.Fatal("the original was changed")
		}
		if len(p.parts) != 3 && !r.Bare || len(p.parts) != 2 && r.Bare {
			t.Fatalf("%d parts in\n%s", len(p.parts), b)
		}
		if r.Bare {
			original = nil
		} else if got := unbroken(p.parts[2].text); got != unbroken(string(original)) {
			t.Fatalf("got %q back, want %q", got, original)
		}
		if len(p.recipients) != 2 {
			t.Fatalf("%d recipients in\n%s", len(p.recipients), b)
		}
		known := "Original-Recipient Final-Recipient Action Status Remote-Mta Diagnostic-Code Last-Attempt-Date Will-Retry-Until"
		for _, fields := range p.recipients {
			want(t, fields, map[string]string{"Action": r.Recipients[0].Action.String()})
			for name, values := range fields {
				if !strings.Contains(known, name) || len(values) != 1 {
					t.Fatalf("%s: %q", name, values)
				}
			}
		}
		known = "Reporting-Mta Original-Envelope-Id X-Postrider-Queue-Id X-Postrider-Sender Received-From-Mta Arrival-Date"
		for name, values := range p.message {
			if !strings.Contains(known, name) || len(values) != 1 {
				t.Fatalf("%s: %q", name, values)
			}
		}
		known = "From Subject To Date Message-Id In-Reply-To References Auto-Submitted Mime-Version Content-Type Content-Transfer-Encoding"
		for name, values := range p.header {
			if !strings.Contains(known, name) || len(values) != 1 {
				t.Fatalf("%s: %q", name, values)
			}
		}
		if !r.UTF8 && eightBit(b) != eightBit(original) {
			t.Fatalf("a report in ASCII has octets over 127:\n%s", b)
		}
	})
}

// unbroken is text without line ends and without blanks, which breaking adds.
func unbroken(text string) string {
	return strings.NewReplacer("\r", "", "\n", "", " ", "").Replace(text)
}
