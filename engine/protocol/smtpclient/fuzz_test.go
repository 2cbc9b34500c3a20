package smtpclient

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postrider/engine/protocol/transcript"
)

// rest means in fuzzed input "the peer waits until the client has
// done all that it can": the message has been sent, the next transaction begun.
const rest = 0xFE

// fuzzed are the transactions of a fuzzed session.
var fuzzed = []string{
	"size=50 body=8bit ret=full envid=x to=a@mx.example notify=never to=b@mx.example orcpt=rfc822;b@mx.example",
	"many=3 from=",
	"size=500 body=binary utf8 to=a@mx.example",
	"to=bad@mx.example>x to=ä@mx.example to=c@mx.example",
}

// goodPeer takes all of them; "~" is rest.
const goodPeer = "220 a\r\n250-a\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-8BITMIME\r\n250-DSN\r\n250 SIZE\r\n" +
	"250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n~250 ok\r\n~" +
	"250 ok\r\n250 ok\r\n452 no\r\n452 no\r\n354 go\r\n~250 ok\r\n~" +
	"250 ok\r\n250 ok\r\n354 go\r\n~250 ok\r\n~" +
	"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n~250-ok\r\n250 ok\r\n"

func TestGoodPeer(t *testing.T) {
	_, results := playAll(t, []byte(strings.ReplaceAll(goodPeer, "~", string([]byte{rest}))), 0, map[string]string{"begin": "none"})
	if n := strings.Count(results, "delivered"); n != 5 {
		t.Errorf("%d delivered, want 5:\n%s", n, results)
	}
}

// playAll plays what the peer sends, cut octets at a time (0: whole) in buffers
// that are overwritten, and returns what the client sent and what came out. The
// connection is lost after the last octet.
func playAll(t *testing.T, in []byte, cut int, settings map[string]string) (sent, results string) {
	p := open(t, settings)
	transactions := fuzzed
	next := func() {
		if p.s.at.phase == streaming {
			p.bodyDone()
		}
		if len(transactions) > 0 && p.s.Ready() {
			tx, err := parseTransaction(transactions[0])
			if err != nil {
				t.Fatal(err)
			}
			transactions = transactions[1:]
			p.begin(tx)
		}
	}
	next()
	var pending []byte
	for turn := range bytes.SplitSeq(in, []byte{rest}) {
		for piece := range slices.Chunk(turn, max(cut, 1)) {
			if cut == 0 {
				piece = turn
			}
			pending = p.feedAll(append(pending, piece...))
			if cut == 0 {
				break
			}
		}
		if len(pending) >= p.cfg.maxReply() && !p.closed {
			t.Fatalf("%d octets are left unread", len(pending))
		}
		next()
		if p.s.at.phase == securing && len(pending) == 0 {
			p.call(func() { p.s.Secured(&p.e) })
		}
	}
	p.call(func() { p.s.Lost(&p.e) })
	if p.begun != p.ended {
		t.Fatalf("%d transactions, %d outcomes", p.begun, p.ended)
	}
	if !p.closed {
		t.Fatal("the connection is lost, and the session not closed")
	}
	out := slices.DeleteFunc(p.effects, func(e string) bool { return e == "ready" })
	return string(p.sent), strings.Join(out, "\n")
}

// feedAll feeds what is pending until nothing is consumed, and returns the rest.
func (p *player) feedAll(pending []byte) []byte {
	for len(pending) > 0 && !p.closed {
		buf := bytes.Clone(pending)
		n := p.Feed(buf)
		for i := range buf {
			buf[i] = 0xDB
		}
		pending = pending[n:]
		if n == 0 {
			break
		}
	}
	return pending
}

// FuzzFeed: whatever the peer sends, and however the network cuts it, each
// transaction has one outcome with a result for each recipient, nothing is
// delivered but by a 2yz after the end of the message, and what is sent are
// whole lines.
func FuzzFeed(f *testing.F) {
	for _, text := range transcript.Texts(f, "testdata/*.smtp") {
		var in []byte
		for line := range strings.Lines(text) {
			if s, ok := strings.CutPrefix(line, "S: "); ok && !strings.Contains(line, "{") {
				in = append(in, strings.TrimSuffix(s, "\n")+"\r\n"...)
			} else if line == "\n" || strings.HasPrefix(line, "A: ") {
				in = append(in, rest)
			}
		}
		f.Add(in, uint8(3), strings.Contains(text, "set auth"))
		f.Add(in, uint8(131), strings.Contains(text, "set auth"))
	}
	f.Add([]byte("220 a\r\n250 STARTTLS\r\n\xfe220 go\r\n\xfe250-a\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n\xfe250 ok\r\n"), uint8(2), true)
	f.Add([]byte("\r\n 220 a\r\n220-b\r\nc\r\n220 d\r\n250-a\r\n\r\n220 DSN\r\n\r\n250 ok\r\n550-no\r\n e\r\n250 yes\r\n250 ok\r\n354 go\r\n \r\n\xfe\r\n250-a\r\n451 b\r\n\r"), uint8(5), false)
	f.Add([]byte(strings.ReplaceAll(goodPeer, "~", string([]byte{rest}))), uint8(1), false)
	f.Fuzz(func(t *testing.T, in []byte, cut uint8, auth bool) {
		settings := map[string]string{"begin": "none", "max-reply": "200"}
		if auth {
			settings["auth"] = "joe:secret"
		}
		if cut >= 128 {
			settings["tls"] = map[bool]string{true: "must", false: "may"}[auth]
		}
		sent, results := playAll(t, in, 0, settings)
		cutSent, cutResults := playAll(t, in, int(cut%16)+1, settings)
		if sent != cutSent || results != cutResults {
			t.Fatalf("cut every %d:\nsent %q\nwhole %q\nresults\n%s\nwhole\n%s", cut%16+1, cutSent, sent, cutResults, results)
		}
		if sent != "" && !strings.HasSuffix(sent, "\r\n") || strings.Count(sent, "\n") != strings.Count(sent, "\r\n") || strings.Count(sent, "\r") != strings.Count(sent, "\n") {
			t.Fatalf("sent %q", sent)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(sent, "\r\n"), "\r\n") {
			if sent != "" && !isCommand(line) {
				t.Fatalf("sent the line %q", line)
			}
		}
	})
}

// isCommand reports whether the client may send the line.
func isCommand(line string) bool {
	for _, word := range []string{"EHLO client.example", "HELO client.example", "STARTTLS", "AUTH PLAIN AGpvZQBzZWNyZXQ=", "AUTH LOGIN", "am9l", "c2VjcmV0", "RSET", "DATA", "BDAT 500 LAST", ".", "QUIT"} {
		if line == word {
			return true
		}
	}
	return strings.HasPrefix(line, "MAIL FROM:<") || strings.HasPrefix(line, "RCPT TO:<") && !strings.Contains(line, "bad@")
}
