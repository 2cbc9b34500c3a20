package dsn

import (
	"bytes"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRFC3464_2_header(t *testing.T) {
	f := func(r *Report, subject string) {
		t.Helper()
		p := parse(t, Append(nil, r))
		want(t, p.header, map[string]string{
			"From": "MAILER-DAEMON@mx.example.com (Mail Delivery System)", "To": r.To, "Subject": subject,
			"Message-ID": "<0000000000043@mx.example.com>", "Auto-Submitted": "auto-replied", "MIME-Version": "1.0",
			"Date": "Mon, 23 Nov 2026 03:01:30 +0000 (UTC)", "Return-Path": "", "Received": "", "Bcc": "",
		})
		if from, err := p.header.AddressList("From"); err != nil || from[0].Address != "MAILER-DAEMON@mx.example.com" {
			t.Errorf("From: %v, %v", from, err)
		}
		if to, err := p.header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != r.To {
			t.Errorf("To: %v, %v", to, err)
		}
		if at, err := p.header.Date(); err != nil || !at.Equal(r.Now.Truncate(time.Second)) {
			t.Errorf("Date: %v, %v", at, err)
		}
		if p.boundary != "0000000000042.1795402890/mx.example.com" {
			t.Errorf("boundary %q", p.boundary)
		}
	}
	f(report(Failure), "Undelivered Mail Returned to Sender")
	f(report(Delay), "Delayed Mail (still being retried)")
	f(report(Success), "Successful Mail Delivery Report")
	f(report(Relayed), "Successful Mail Delivery Report")
	f(report(Expanded), "Successful Mail Delivery Report")
	f(double(), "Postmaster Copy: Undelivered Mail")
	f(international(), "Undelivered Mail Returned to Sender")
}

func TestRFC3464_2_2_messageFields(t *testing.T) {
	r := report(Failure)
	all := map[string]string{
		"Reporting-MTA": "dns; mx.example.com", "Original-Envelope-Id": "QQ 314159", "X-Postrider-Queue-ID": "0000000000042",
		"X-Postrider-Sender": "rfc822; jsmith@example.com", "Received-From-MTA": "dns; client.example",
		"Arrival-Date": "Sun, 22 Nov 2026 23:00:00 +0000 (UTC)",
	}
	p := parse(t, Append(nil, r))
	want(t, p.message, all)
	if len(p.message) != len(all) {
		t.Errorf("got %v", p.message)
	}
	r.EnvID, r.ReceivedFromMTA, r.Arrival, r.DoubleBounce = "", "", time.Time{}, true
	p = parse(t, Append(nil, r))
	want(t, p.message, map[string]string{"Original-Envelope-Id": "", "Received-From-MTA": "", "Arrival-Date": "", "X-Postrider-Sender": ""})
}

func TestRFC3464_2_3_recipientFields(t *testing.T) {
	f := func(r *Report, fields ...map[string]string) {
		t.Helper()
		p := parse(t, Append(nil, r))
		if len(p.recipients) != len(fields) {
			t.Fatalf("%d recipients, want %d", len(p.recipients), len(fields))
		}
		for i, all := range fields {
			want(t, p.recipients[i], all)
			if len(p.recipients[i]) != len(all) {
				t.Errorf("got %v", p.recipients[i])
			}
		}
	}
	const original, final, at = "rfc822; marshall+brain@example.net", "rfc822; mbrain@example.org", "Mon, 23 Nov 2026 03:00:00 +0000 (UTC)"
	f(report(Failure), map[string]string{"Original-Recipient": original, "Final-Recipient": final, "Action": "failed", "Status": "5.1.1",
		"Remote-Mta": "dns; mx.example.org", "Last-Attempt-Date": at,
		"Diagnostic-Code": "smtp; 550-5.1.1 The account that you tried to reach 550 5.1.1 does not exist"})
	f(report(Delay), map[string]string{"Original-Recipient": original, "Final-Recipient": final, "Action": "delayed", "Status": "4.4.1",
		"Last-Attempt-Date": at, "Will-Retry-Until": "Fri, 27 Nov 2026 23:00:00 +0000 (UTC)",
		"Diagnostic-Code": "X-Postrider; connect to mx.example.org[192.0.2.25]:25: Connection timed out"})
	for k, action := range map[Kind]string{Success: "delivered", Relayed: "relayed", Expanded: "expanded"} {
		f(report(k), map[string]string{"Original-Recipient": original, "Final-Recipient": final, "Action": action, "Status": "2.0.0",
			"Remote-Mta": "dns; mx.example.org", "Diagnostic-Code": "smtp; 250 2.0.0 Ok: queued as 12345", "Last-Attempt-Date": at})
	}
	f(several(),
		map[string]string{"Original-Recipient": original, "Final-Recipient": final, "Action": "failed", "Status": "5.1.1",
			"Remote-Mta": "dns; mx.example.org", "Last-Attempt-Date": at,
			"Diagnostic-Code": "smtp; 550-5.1.1 The account that you tried to reach 550 5.1.1 does not exist"},
		map[string]string{"Final-Recipient": "rfc822; a@example.org", "Action": "failed", "Status": "4.4.7",
			"Diagnostic-Code": "X-Postrider; the message was tried for 5 days, and 450 greylisted was the last reply"},
		map[string]string{"Final-Recipient": "rfc822; b@example.org", "Action": "failed", "Status": "5.0.0",
			"Remote-Mta": "dns; [192.0.2.1]", "Diagnostic-Code": "smtp; 554 no"},
		map[string]string{"Final-Recipient": `rfc822; "c d"@example.org`, "Action": "failed", "Status": "5.1.10"})
}

// Will-Retry-Until belongs to delayed recipients only (section 2.3.8).
func TestRFC3464_2_3_8_willRetryUntil(t *testing.T) {
	r := report(Delay)
	r.Recipients[0].WillRetryUntil = expires.Add(time.Hour)
	want(t, parse(t, Append(nil, r)).recipients[0], map[string]string{"Will-Retry-Until": "Sat, 28 Nov 2026 00:00:00 +0000 (UTC)"})
	r.Recipients[0].Action = Failure
	want(t, parse(t, Append(nil, r)).recipients[0], map[string]string{"Will-Retry-Until": ""})
	r.Recipients[0] = Recipient{Final: "a@b.example", Action: Delay}
	r.LifetimeEnd = time.Time{}
	want(t, parse(t, Append(nil, r)).recipients[0], map[string]string{"Will-Retry-Until": "", "Last-Attempt-Date": "", "Diagnostic-Code": "", "Remote-MTA": ""})
}

// The class of the code goes with the action (section 2.3.4); what is no code of
// RFC 3463 section 2 is replaced.
func TestRFC3464_2_3_4_status(t *testing.T) {
	f := func(k Kind, status, want string) {
		t.Helper()
		p := Recipient{Action: k, Status: status}
		if got := string(p.appendCode(nil)); got != want {
			t.Errorf("%v %q: got %q, want %q", k, status, got, want)
		}
	}
	f(Failure, "5.7.1", "5.7.1")
	f(Failure, "4.4.7", "4.4.7")
	f(Failure, "2.1.5", "5.1.5")
	f(Delay, "5.7.1", "4.7.1")
	f(Delay, "4.999.999", "4.999.999")
	f(Success, "4.0.0", "2.0.0")
	f(Relayed, "2.1.9", "2.1.9")
	for _, bad := range []string{"", "5", "5.1", "5.1.", "5..1", ".1.1", "5.1.1.1", "5.1.1000", "5.1.1 ", "5.1.1\r\nX: y", "55.1.1", "a.b.c", "5.1.x", "-5.1.1"} {
		f(Failure, bad, "5.0.0")
		f(Delay, bad, "4.0.0")
		f(Expanded, bad, "2.0.0")
	}
}

// RFC 6522 section 3: what comes back, and as what.
func TestRFC6522_3_returned(t *testing.T) {
	f := func(original string, whole, utf8 bool, kind, charset, encoding, text string) {
		t.Helper()
		r := report(Failure)
		r.Original, r.WholeMessage, r.UTF8 = []byte(original), whole, utf8
		b := Append(nil, r)
		if string(r.Original) != original {
			t.Error("the original was changed")
		}
		p := parse(t, b)
		last := p.parts[2]
		if last.kind != kind || last.params["charset"] != charset || last.header.Get("Content-Transfer-Encoding") != encoding || last.text != text {
			t.Errorf("got %v %q, want %q %q %q %q", last.header, last.text, kind, charset, encoding, text)
		}
		if got := p.header.Get("Content-Transfer-Encoding"); got != encoding {
			t.Errorf("%q: the message is said to be %s", original, got)
		}
		if global := strings.Contains(kind, "global"); r.NeedsUTF8() != global {
			t.Errorf("%q: NeedsUTF8 is %v", original, !global)
		}
	}
	const ascii, wide, latin = "Subject: s\r\n\r\nx\r\n", "Subject: ö\r\n\r\nx\r\n", "Subject: \xf6\r\n\r\nx\r\n"
	f(ascii, true, false, "message/rfc822", "", "7bit", ascii)
	f(ascii, true, true, "message/rfc822", "", "7bit", ascii)
	f(ascii, false, true, "text/rfc822-headers", "", "7bit", ascii)
	f(wide, true, true, "message/global", "", "8bit", wide)
	f(wide, false, true, "message/global-headers", "", "8bit", wide)
	f(wide, true, false, "message/rfc822", "", "8bit", wide)
	f(wide, false, false, "text/rfc822-headers", "utf-8", "8bit", wide)
	f(latin, true, true, "message/rfc822", "", "8bit", latin)
	f(latin, false, false, "text/rfc822-headers", "unknown-8bit", "8bit", latin)
	f("Subject: s\r\n\r\n\xf6\r\n", true, true, "message/rfc822", "", "8bit", "Subject: s\r\n\r\n\xf6\r\n")
	f("", true, false, "message/rfc822", "", "7bit", "")
	f("", false, false, "text/rfc822-headers", "", "7bit", "")
	f("no line end", true, false, "message/rfc822", "", "7bit", "no line end")
	f("a\nb\rc\r\r\nd\r", true, false, "message/rfc822", "", "7bit", "a\r\nb\r\nc\r\n\r\nd\r\n")
}

// RFC 2046 section 5.1.1: the boundary occurs in nothing that is returned, is
// short, and of the octets that it may have.
func TestRFC2046_5_1_1_boundary(t *testing.T) {
	f := func(queueID, host, original, want string) {
		t.Helper()
		r := report(Failure)
		r.QueueID, r.ReportingMTA, r.Original = queueID, host, []byte(original)
		p := parse(t, Append(nil, r))
		if p.boundary != want || len(want) > 70 {
			t.Errorf("got %q, want %q", p.boundary, want)
		}
		if p.parts[2].text != original {
			t.Errorf("got %q back, want %q", p.parts[2].text, original)
		}
	}
	const stem = "42.1795402890"
	f("42", "h", "", stem+"/h")
	f("42", "h", "--"+stem+"/h--\r\n", stem+".1/h")
	f("42", "h", "\r\n--"+stem+"/h\r\n\r\n--"+stem+".1/h\r\n--"+stem+".3/h\r\n--"+stem+".0002/h", stem+".4/h")
	f("42", "h", "--"+stem+".99999999999999999999/h--"+stem+".1", stem+".2/h")
	f("4 2\"\r\n\xf6", "a_b", "", "4-2----.1795402890/a-b")
	f(strings.Repeat("4", 99), strings.Repeat("h", 99), "", strings.Repeat("4", 30)+".1795402890/"+strings.Repeat("h", 28))
}

// A message that holds every boundary up to some number: to try one after the
// other would keep this test busy for minutes.
func TestRFC2046_5_1_1_boundaryIsFoundInOnePass(t *testing.T) {
	var text []byte
	n := 1
	for ; len(text) < 8<<20; n++ {
		text = append(text, "42.7."...)
		text = strconv.AppendInt(text, int64(n), 10)
		text = append(text, "/h\r\n"...)
	}
	if got := unused(text, []byte("42.7.")); got != n {
		t.Errorf("got %d, want %d", got, n)
	}
}

// RFC 5322 section 2.1.1: no line over 998 octets. The returned part is broken
// with a blank, between characters.
func TestRFC5322_2_1_1_longLines(t *testing.T) {
	r := international()
	long := strings.Repeat("ö", 2000)
	r.To, r.QueueID, r.ReportingMTA, r.EnvID, r.ReceivedFromMTA = long, long, long, long, long
	r.MessageID = long
	r.Recipients[0] = Recipient{Final: long, ORcpt: "rfc822;" + strings.Repeat("x", 2000), RemoteMTA: long, Diagnostic: long, Reason: long, Status: long}
	r.Original = []byte("Subject: " + long + "\r\nX: " + strings.Repeat("y", 998-3) + "\r\nY: " + strings.Repeat("z", 999) + "\r\n\r\n" + strings.Repeat("\x80", 2000))
	for _, r.UTF8 = range []bool{false, true} {
		b := Append(nil, r)
		lines(t, b)
		text := parse(t, b).parts[2].text
		if got := strings.ReplaceAll(text, "\r\n ", ""); got != string(r.Original) {
			t.Errorf("got %q", text)
		}
		if !strings.Contains(text, "\r\nX: yyy") || !strings.Contains(text, "y\r\nY: z") || !strings.Contains(text, "z\r\n zzz") {
			t.Errorf("lines are broken where they need not be: %q", text)
		}
		if !bytes.Contains(b, []byte("\r\nX-Postrider-Queue-ID: ")) {
			t.Errorf("got %s", b)
		}
	}
}

// lines checks that each line ends with CRLF and is short enough.
func lines(t *testing.T, b []byte) {
	t.Helper()
	if !bytes.HasSuffix(b, []byte("--\r\n")) {
		t.Fatalf("no end: %q", b)
	}
	for line := range bytes.SplitSeq(b, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("line of %d octets: %q", len(line), line)
		}
	}
}

// What others wrote begins no line and no field.
func TestRFC3464_4_injection(t *testing.T) {
	const evil = "a\r\nBcc: victim@example.com\r\n\r\n--0000000000042.1795402890/mx.example.com\r\nAction: delivered\r\n.\r\n"
	r := report(Failure)
	r.To, r.MessageID, r.EnvID, r.ReceivedFromMTA, r.QueueID = evil, evil, "a+0D+0ABcc:+20x", evil, evil
	r.Original = []byte("Message-ID: <a@b\r\n\tBcc: c>\r\n\r\n")
	r.Recipients[0] = Recipient{Final: evil, ORcpt: "rfc822;a+0D+0AAction:+20delivered", RemoteMTA: evil, Diagnostic: evil, DiagnosticType: evil, Reason: evil, Status: evil}
	r.Recipients = append(r.Recipients, Recipient{Final: "x@y", ORcpt: "x:\r\ny;z"}, Recipient{Final: "x@y", ORcpt: `utf-8;\x{D}\x{0A}Action: delivered`})
	for _, r.UTF8 = range []bool{false, true} {
		p := parse(t, Append(nil, r))
		want(t, p.header, map[string]string{"Bcc": "", "Action": "", "In-Reply-To": "", "References": ""})
		want(t, p.message, map[string]string{"Original-Envelope-Id": "a??Bcc: x", "Action": "", "Bcc": ""})
		if len(p.recipients) != 3 {
			t.Fatalf("%d recipients", len(p.recipients))
		}
		for _, fields := range p.recipients {
			want(t, fields, map[string]string{"Action": "failed", "Status": "5.0.0", "Bcc": ""})
		}
		want(t, p.recipients[1], map[string]string{"Original-Recipient": ""})
		// No line of the text for people begins with what others wrote.
		for line := range strings.SplitSeq(p.parts[0].text, "\r\n") {
			if strings.HasPrefix(line, "Bcc") || strings.HasPrefix(line, "--") || strings.HasPrefix(line, ".") {
				t.Errorf("line %q", line)
			}
		}
	}
}

// RFC 3834: the notification belongs to the message, if that has a usable id.
func TestRFC3834_3_1_thread(t *testing.T) {
	f := func(field, id string) {
		t.Helper()
		r := report(Failure)
		r.Original = []byte("Subject: s\r\n" + field + "\r\n\r\n")
		want(t, parse(t, Append(nil, r)).header, map[string]string{"In-Reply-To": id, "References": id})
	}
	f("message-id: <a@b.example>", "<a@b.example>")
	f("Message-ID:\r\n <a@b.example>", "<a@b.example>")
	f("Message-ID: <a@b> <c@d>", "")
	f("Message-ID: <a@b><c@d>", "")
	f("Message-ID: <a b@c>", "")
	f("Message-ID: <\xf6@c>", "")
	f("Message-ID: a@b", "")
	f("Message-ID: <>", "")
	f("Message-ID: <"+strings.Repeat("x", 500)+">", "")
	f("X: y", "")
}

// RFC 6533 sections 3 and 4: addresses beyond ASCII, in UTF-8 where that was
// agreed on, else in the form for 7 bits.
func TestRFC6533_3_addresses(t *testing.T) {
	const narrow, wide = "message/delivery-status", "message/global-delivery-status"
	f := func(utf8 bool, final, orcpt, kind, wantFinal, wantOriginal string) {
		t.Helper()
		r := report(Failure)
		r.UTF8, r.Recipients[0].Final, r.Recipients[0].ORcpt = utf8, final, orcpt
		b := Append(nil, r)
		p := parse(t, b)
		if p.parts[1].kind != kind {
			t.Errorf("%q: got %s", final, p.parts[1].kind)
		}
		encoding := "7bit"
		if kind == wide {
			encoding = "8bit"
		}
		for _, h := range []map[string][]string{p.header, p.parts[0].header, p.parts[1].header} {
			want(t, h, map[string]string{"Content-Transfer-Encoding": encoding})
		}
		want(t, p.recipients[0], map[string]string{"Final-Recipient": wantFinal, "Original-Recipient": wantOriginal})
		if !utf8 && slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 }) {
			t.Errorf("%q: the report is not in ASCII", final)
		}
	}
	f(true, "ö@b.example", "", wide, "utf-8; ö@b.example", "")
	f(false, "ö+=\\ 用@b.example", "", narrow, `utf-8; \x{F6}\x{2B}\x{3D}\x{5C}\x{20}\x{7528}@b.example`, "")
	f(false, "\xf6@b.example", "", narrow, "rfc822; ?@b.example", "")
	f(true, "\xf6@b.example", "", wide, "rfc822; ?@b.example", "")
	f(true, "a@b.example", `utf-8;\x{F6}\x{1F600}@c.example`, wide, "rfc822; a@b.example", "utf-8; ö😀@c.example")
	f(false, "a@b.example", `utf-8;\x{F6}\x{1F600}@c.example`, narrow, "rfc822; a@b.example", `utf-8; \x{F6}\x{1F600}@c.example`)
	f(true, "a@b.example", `UTF-8;ö\x{5C}\x{2B}\x{zz}\x{D800}\x{110000}\x{`, wide, "rfc822; a@b.example", `UTF-8; ö\+\x{zz}\x{D800}\x{110000}\x{`)
	f(false, "a@b.example", `utf-8;\x{09}`, narrow, "rfc822; a@b.example", `utf-8; \x{09}`)
	f(true, "a@b.example", "x-500;+C3+B6", narrow, "rfc822; a@b.example", "x-500; ??")
	f(true, "a@b.example", "rfc822", narrow, "rfc822; a@b.example", "")
	f(true, "a@b.example", strings.Repeat("x", 61)+";x", narrow, "rfc822; a@b.example", "")
	f(true, "a@b.example", ";x", narrow, "rfc822; a@b.example", "")
	f(true, "a@b.example", "rfc822;", narrow, "rfc822; a@b.example", "")
}

func TestReport_NeedsUTF8(t *testing.T) {
	f := func(r *Report, want bool) {
		t.Helper()
		if got := r.NeedsUTF8(); got != want {
			t.Errorf("got %v", got)
		}
	}
	f(report(Failure), false)
	f(international(), true)
	r := report(Failure)
	r.UTF8 = true
	f(r, false)
	r.To = "ö@b.example"
	f(r, true)
	r.UTF8 = false
	f(r, false)
	if b := Append(nil, r); bytes.Contains(b, []byte("ö")) || !bytes.Contains(b, []byte("\r\nTo: ?@b.example\r\n")) {
		t.Errorf("got %s", b)
	}
}

func TestHeaderOf(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := string(HeaderOf([]byte(text))); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	f("A: b\r\n c\r\nD: e\r\n\r\nF: g\r\n", "A: b\r\n c\r\nD: e\r\n")
	f("A: b\r\nno field\r\n\r\n", "A: b\r\n")
	f("A: b\r\nC: cu", "A: b\r\nC: cu")
	f("A: b\r\nCu", "A: b\r\n")
	f("\r\nA: b\r\n", "")
	f("", "")
}

// The words for people, and where they come from.
func TestRecipient_words(t *testing.T) {
	f := func(p Recipient, want string) {
		t.Helper()
		if got := p.words(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(Recipient{Reason: "r", Diagnostic: "d", RemoteMTA: "m"}, "r")
	f(Recipient{Diagnostic: "d", RemoteMTA: "m"}, "host m said: d")
	f(Recipient{Diagnostic: "d", RemoteMTA: "m", Action: Relayed}, "delivery via m: d")
	f(Recipient{Diagnostic: "d"}, "d")
	f(Recipient{RemoteMTA: "m", Action: Success}, "delivered by host m")
	f(Recipient{Action: Expanded}, "expanded")
}

func TestAppendSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		4*time.Hour + 59*time.Minute: "4 hour(s)", 5 * 24 * time.Hour: "5 day(s)", 24*time.Hour + time.Minute: "1 day(s)", 36 * time.Hour: "36 hour(s)",
		90 * time.Second: "1 minute(s)", 3 * time.Second: "3 second(s)", -time.Hour: "0 second(s)",
	} {
		if got := string(appendSpan(nil, d)); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// A report with recipients of several kinds is worded for the worst.
func TestReport_worst(t *testing.T) {
	f := func(want Kind, ks ...Kind) {
		t.Helper()
		var r Report
		for _, k := range ks {
			r.Recipients = append(r.Recipients, Recipient{Action: k})
		}
		if got := r.worst(); got != want {
			t.Errorf("%v: got %v", ks, got)
		}
	}
	f(Failure, Success, Delay, Failure, Relayed)
	f(Delay, Expanded, Delay)
	f(Success, Relayed, Expanded)
}

// The notification is a message that net/mail reads, with a header of single fields.
func TestAppend_fieldsOccurOnce(t *testing.T) {
	for _, r := range []*Report{report(Failure), report(Delay), report(Relayed), double(), several(), international()} {
		m, err := mail.ReadMessage(bytes.NewReader(Append(nil, r)))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range m.Header {
			if len(values) != 1 {
				t.Errorf("%s: %q", name, values)
			}
		}
	}
}

func TestAppend_appends(t *testing.T) {
	r := report(Failure)
	if got := Append([]byte("before"), r); string(got) != "before"+string(Append(nil, r)) {
		t.Errorf("got %q", got)
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, r := range map[string]*Report{"failure": report(Failure), "delay": report(Delay), "international": international()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = Append(dst[:0], r)
			}
			b.SetBytes(int64(len(dst)))
		})
	}
	b.Run("return 50 KB", func(b *testing.B) {
		r := report(Failure)
		r.Original = append([]byte(original), strings.Repeat(strings.Repeat("x", 70)+"\r\n", 700)...)
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst = Append(dst[:0], r)
		}
		b.SetBytes(int64(len(dst)))
	})
}
