package smtpd

import (
	"strconv"
	"strings"
	"testing"
)

// The tests of this file are named after the sentence of the RFC that they hold
// the machine to. What needs a longer dialogue is a transcript in testdata.

// expect plays each line with CRLF, answers all questions with Yes, and compares
// the first three digits of the last line of each reply.
func expect(t *testing.T, settings map[string]string, dialogue ...string) *player {
	t.Helper()
	p := open(t, settings)
	p.auto = true
	p.Greet()
	p.Take()
	for i := 0; i < len(dialogue); i += 2 {
		in := []byte(dialogue[i] + "\r\n")
		for len(in) > 0 {
			n := p.Feed(in)
			if n == 0 {
				break
			}
			in = in[n:]
		}
		reply, _, _ := p.Take()
		var codes []string
		for line := range strings.SplitSeq(strings.TrimSuffix(string(reply), "\r\n"), "\r\n") {
			if len(line) > 3 && line[3] == ' ' {
				codes = append(codes, line[:3])
			}
		}
		if got := strings.Join(codes, " "); got != dialogue[i+1] {
			t.Errorf("%.60q: got %q, want %s", dialogue[i], reply, dialogue[i+1])
		}
	}
	return p
}

// RFC 5321 section 2.3.8: "Conforming implementations MUST NOT recognize or
// generate any other character or character sequence as a line terminator." Here:
// in mail data. For commands see package line.
func TestNoOtherSequenceTerminatesLinesOfMailData(t *testing.T) {
	begin := []string{"EHLO a", "250", "MAIL FROM:<>", "250", "RCPT TO:<b@c>", "250", "DATA", "354"}
	for _, end := range []string{"\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n\r.\r\n", "\n. \n", "\n..\n", "\n.x\n", "\r\n..\n", "\r.\n"} {
		p := expect(t, nil, append(begin, "x"+end+"NOOP", "", ".", "550", "NOOP", "250")...)
		if len(p.stored) != 0 {
			t.Errorf("%q: stored %q", end, p.stored)
		}
	}
	// A line that is a dot for a reader that takes LF for a line end: the session ends.
	for _, end := range []string{"\n.\n", "\r\n.\n", "\n\r.\n\r", "\n\n.\n"} {
		p := expect(t, nil, append(begin, "x"+end+"NOOP", "550", ".", "", "NOOP", "")...)
		if len(p.stored) != 0 || !p.closed {
			t.Errorf("%q: stored %q, closed %v", end, p.stored, p.closed)
		}
	}
}

// RFC 5321 section 2.4: verbs are not case sensitive; "The local-part of a mailbox
// MUST BE treated as case sensitive."
func TestVerbsInAnyCaseLocalPartsAsTheyAre(t *testing.T) {
	p := expect(t, nil, "eHLO a", "250", "mAIL fROM:<Joe@A.Example>", "250")
	if from := p.s.Transaction().Mail.From; string(from.Local()) != "Joe" || string(from.Domain()) != "A.Example" {
		t.Errorf("the reverse-path became %s", from)
	}
}

// RFC 5321 section 4.2: the greeting has 220 and the server's name.
func TestTheGreetingNamesTheHost(t *testing.T) {
	p := open(t, nil)
	p.Greet()
	if reply, _, _ := p.Take(); !strings.HasPrefix(string(reply), "220 mx.example ESMTP ") {
		t.Errorf("greeting %q", reply)
	}
}

// RFC 5321 section 3.3: "If accepted, the SMTP server returns a 354 … and
// considers all succeeding lines up to but not including the end of mail data
// indicator to be the message text."
func TestAllLinesUpToTheIndicatorAreText(t *testing.T) {
	p := expect(t, nil, "EHLO a", "250", "MAIL FROM:<>", "250", "RCPT TO:<b@c>", "250", "DATA", "354",
		"QUIT", "", "RSET", "", "", "", "..", "", ".", "250")
	if got := p.stored; len(got) != 1 || got[0] != "QUIT\r\nRSET\r\n\r\n..\r\n" {
		t.Errorf("stored %q", got)
	}
}

// RFC 5321 section 4.1.4: when a later EHLO is acceptable, the server "MUST clear
// all buffers and reset the state exactly as if a RSET command had been issued".
func TestEHLOActsAsRSET(t *testing.T) {
	expect(t, nil, "EHLO a", "250", "MAIL FROM:<>", "250", "EHLO b", "250", "RCPT TO:<b@c>", "503", "MAIL FROM:<>", "250")
}

// RFC 5321 section 4.1.1.5: "The receiver MUST send a "250 OK" reply to a RSET
// command with no arguments", at any time in a session (section 4.1.4).
func TestRSETAtAnyTime(t *testing.T) {
	expect(t, nil, "RSET", "250", "EHLO a", "250", "RSET", "250", "MAIL FROM:<>", "250", "RSET", "250",
		"MAIL FROM:<>", "250", "RCPT TO:<b@c>", "250", "RSET", "250", "DATA", "503")
}

// RFC 5321 section 4.1.1.10: "the receiver MUST send a "221 OK" reply, and then
// close the transmission channel".
func TestQUITGets221(t *testing.T) {
	p := expect(t, nil, "QUIT", "221")
	if !p.closed {
		t.Error("not closed")
	}
	if n := p.s.Feed([]byte("NOOP\r\n"), &p.e); n != 0 {
		t.Errorf("%d octets consumed after QUIT", n)
	}
}

// RFC 5321 section 4.1.4: a MAIL command must not be sent if a mail transaction
// is already open; 503 is the answer, and the first one stays valid.
func TestMAILIsNotNested(t *testing.T) {
	expect(t, nil, "EHLO a", "250", "MAIL FROM:<a@b>", "250", "MAIL FROM:<c@d>", "503", "RCPT TO:<b@c>", "250", "MAIL FROM:<c@d>", "503")
}

// RFC 5321 section 4.5.1: the reserved mailbox postmaster must be supported, also
// without a domain and in any case.
func TestPostmasterNeedsNoDomain(t *testing.T) {
	expect(t, nil, "EHLO a", "250", "MAIL FROM:<>", "250", "RCPT TO:<postMaster>", "250", "RCPT TO:<hostmaster>", "501")
}

// RFC 5321 section 4.5.3.1.8: a hundred recipients must be buffered.
func TestAHundredRecipients(t *testing.T) {
	p := expect(t, nil, "EHLO a", "250", "MAIL FROM:<>", "250")
	for i := range 100 {
		p.Feed([]byte("RCPT TO:<u" + strconv.Itoa(i) + "@c>\r\n"))
	}
	got := p.s.Transaction().Recipients
	if len(got) != 100 || got[0].To.String() != "u0@c" || got[99].To.String() != "u99@c" {
		t.Errorf("%d recipients, from %s to %s", len(got), got[0].To, got[len(got)-1].To)
	}
}

// RFC 5321 section 4.5.3.1.4: a command line of 512 octets is taken.
func TestACommandLineOf512Octets(t *testing.T) {
	expect(t, nil, "NOOP "+strings.Repeat("x", 505), "250")
}

// RFC 5321 section 6.1: a 250 is a promise. Here: there is none without the proof
// that the message is durable.
func TestNo250WithoutAReceipt(t *testing.T) {
	p := open(t, nil)
	p.auto = true
	for _, line := range []string{"EHLO a", "MAIL FROM:<>", "RCPT TO:<b@c>", "DATA"} {
		p.Feed([]byte(line + "\r\n"))
	}
	p.auto = false
	p.Feed([]byte(".\r\n"))
	p.Take()
	p.call(func() { p.s.Answer(Answer{Verdict: Yes}, &p.e) })
	if reply, _, _ := p.Take(); !strings.HasPrefix(string(reply), "451 ") {
		t.Errorf("a Yes without a receipt was replied to with %q", reply)
	}
}

// RFC 2920 section 3.2: commands of one packet are answered one
// by one and in order.
func TestAPipelinedGroupIsAnsweredInOrder(t *testing.T) {
	expect(t, nil, "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@c>\r\nFOO\r\nDATA\r\nx\r\n.\r\nNOOP\r\nQUIT", "250 250 250 500 354 250 250 221")
}

// The disconnect line of the log, as Postfix writes it.
func TestCounts(t *testing.T) {
	f := func(want string, dialogue ...string) {
		t.Helper()
		p := expect(t, nil, dialogue...)
		counts := p.s.Counts()
		if got := string(counts.AppendTo(nil)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("commands=0")
	f("ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5", "EHLO a", "250", "MAIL FROM:<>", "250", "RCPT TO:<b@c>", "250", "DATA", "354", ".", "250", "QUIT", "221")
	f("rcpt=0/1 rset=1 unknown=0/2 commands=1/4", "RCPT TO:<a@b>", "503", "RSET", "250", "FOO", "500", "ETRN x", "502")
	f("ehlo=1 mail=1 rcpt=1 data=0/1 commands=3/4", "EHLO a", "250", "MAIL FROM:<>", "250", "RCPT TO:<b@c>", "250", "DATA", "354", "a\nb", "", ".", "550")
}
