package smtpd

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postrider/codec/dot"
	"postrider/codec/sasl"
	"postrider/engine/protocol/transcript"
)

// playAll plays in, cut octets at a time (0: whole) in buffers that are
// overwritten, and returns the replies and the messages that were asked about.
func playAll(t *testing.T, in []byte, cut int, settings map[string]string) (reply string, messages []string) {
	p := open(t, settings)
	p.auto = true
	var pending []byte
	p.Greet()
	for len(in) > 0 {
		k := len(in)
		if cut > 0 {
			k = min(cut, k)
		}
		pending = append(pending, in[:k]...)
		in = in[k:]
		for len(pending) > 0 {
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
		if cut > 0 && len(pending) >= sasl.MaxLine && !p.closed {
			t.Fatalf("%d octets are left unread", len(pending))
		}
	}
	return string(p.reply), p.stored
}

// replyLine is what every line of a reply looks like.
var replyLine = regexp.MustCompile(`^[2-5][0-9][0-9][ -][^\x00-\x1f\x7f]*\r$`)

// FuzzFeed: the replies and the accepted messages don't depend on how the network
// cuts the input; every reply line is well formed and short, but a challenge; every message is
// wire form with one end only.
func FuzzFeed(f *testing.F) {
	for _, text := range transcript.Texts(f, "testdata/*.smtp") {
		var in []byte
		for line := range strings.Lines(text) {
			if c, ok := strings.CutPrefix(line, "C: "); ok && !strings.Contains(line, "{") {
				in = append(in, unescape(strings.TrimSuffix(c, "\n"))...)
			}
		}
		f.Add(in, uint8(3), strings.Contains(text, "normalize"))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint8, normalize bool) {
		settings := map[string]string{"max-size": "300", "max-hops": "2", "loopback": "yes", "auth": "PLAIN,LOGIN,CRAM-MD5,SCRAM-SHA-256"}
		if normalize {
			settings["bare-lf"] = "normalize"
		}
		reply, messages := playAll(t, in, 0, settings)
		cutReply, cutMessages := playAll(t, in, int(cut%16)+1, settings)
		if reply != cutReply || !slices.Equal(messages, cutMessages) {
			t.Fatalf("cut every %d:\nreplies %q\nwhole   %q\nmessages %q\nwhole    %q", cut%16+1, cutReply, reply, cutMessages, messages)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(reply, "\n"), "\n") {
			if !replyLine.MatchString(line) || len(line) >= 512 && !strings.HasPrefix(line, "334 ") {
				t.Fatalf("reply line %q", line)
			}
		}
		if bytes.Contains(bytes.ToUpper(in), []byte("BINARYMIME")) {
			return
		}
		for _, m := range messages {
			if !isWireForm(m) {
				t.Fatalf("a message that ends twice: %q", m)
			}
		}
	})
}

// FuzzChunks: a message that came in chunks of any size, once its dots are
// unstuffed, is what was sent, with a CRLF if it lacked one. Text with a bare CR
// or LF is refused; a binary body is kept octet for octet.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{"", ".", "\r", "\r\n", ".\r\n..\r\n.", "a\n.\r.b", "a\r\n.\r\nb\r\n", "a\r\r\n.", "...\r\n\r\n."} {
		f.Add([]byte(s), uint8(3), uint8(2), false)
		f.Add([]byte(s), uint8(1), uint8(9), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, size, cut uint8, isBinary bool) {
		body = body[:min(len(body), 200)]
		kind := "8BITMIME"
		if isBinary {
			kind = "BINARYMIME"
		}
		in := []byte("EHLO a\r\nMAIL FROM:<> BODY=" + kind + "\r\nRCPT TO:<b@c>\r\n")
		for rest := body; ; {
			k := min(int(size%32)+1, len(rest))
			last := ""
			if k == len(rest) {
				last = " LAST"
			}
			in = append(fmt.Appendf(in, "BDAT %d%s\r\n", k, last), rest[:k]...)
			if rest = rest[k:]; last != "" {
				break
			}
		}
		_, messages := playAll(t, in, int(cut%9), nil)
		isText := onlyCRLF(body) && bytes.IndexByte(body, 0) < 0
		if !isBinary && !onlyCRLF(body) {
			if len(messages) != 0 {
				t.Fatalf("%q was taken as %q", body, messages)
			}
			return
		}
		want := string(body)
		if want != "" && !strings.HasSuffix(want, "\r\n") && (isText || !isBinary) {
			want += "\r\n"
		}
		if isText && len(messages) == 1 && !isWireForm(messages[0]) {
			t.Fatalf("%q came out as %q", body, messages)
		}
		if len(messages) != 1 || string(dot.AppendUnstuffed(nil, []byte(messages[0]))) != want {
			t.Fatalf("%q came out as %q, want %q", body, messages, want)
		}
	})
}

// isWireForm reports whether m is the one wire form of a message: only CRLF ends a line,
// and a first dot has a second one.
func isWireForm(m string) bool {
	for line := range strings.SplitAfterSeq(m, "\r\n") {
		if line != "" && !strings.HasSuffix(line, "\r\n") || line[:min(1, len(line))] == "." && !strings.HasPrefix(line, "..") {
			return false
		}
	}
	return onlyCRLF([]byte(m))
}

// onlyCRLF reports whether each CR and LF of b is part of a CRLF.
func onlyCRLF(b []byte) bool {
	n := bytes.Count(b, crlf)
	return bytes.Count(b, crlf[:1]) == n && bytes.Count(b, crlf[1:]) == n
}

// unescape is enough of the player's notation for seeds.
func unescape(s string) string {
	end := "\r\n"
	if strings.HasSuffix(s, `\c`) {
		s, end = strings.TrimSuffix(s, `\c`), ""
	}
	return strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t", `\x00`, "\x00", `\xc3`, "\xc3", `\\`, `\`).Replace(s) + end
}
