package pop3d

import (
	"bytes"
	"strings"
	"testing"

	"postrider/codec/sasl"
	"postrider/engine/protocol/transcript"
)

// FuzzFeed: a session that gets its input whole and one that gets it cut reply,
// ask and delete the same; neither panics.
func FuzzFeed(f *testing.F) {
	for _, text := range transcript.Texts(f, "testdata/*.pop3") {
		var in []byte
		for line := range strings.Lines(text) {
			if octets, ok := strings.CutPrefix(line, "C: "); ok {
				in = append(in, strings.ReplaceAll(octets, `\r\n`, "\n")...)
			}
		}
		f.Add(in, 1, uint64(0))
	}
	f.Add([]byte("USER a\r\nPASS b\r\nDELE 1\r\nRETR 2\r\nTOP 3 1\r\nLIST\r\nUIDL\r\nRSET\r\nDELE 3\r\nQUIT\r\n"), 2, uint64(7))
	f.Fuzz(func(t *testing.T, in []byte, cut int, seed uint64) {
		cut = min(max(cut, 1), max(len(in), 1))
		whole, parts := fuzzed(seed), fuzzed(seed)
		whole.feed(in)
		for from := 0; from < len(in) && !parts.closed; from += cut {
			parts.feed(in[from:min(from+cut, len(in))])
		}
		if !bytes.Equal(whole.replies, parts.replies) {
			t.Fatalf("whole %q\ncut   %q", whole.replies, parts.replies)
		}
		if whole.closed != parts.closed || len(whole.asked) != len(parts.asked) {
			t.Fatalf("whole: closed %v, asked %q\ncut: closed %v, asked %q", whole.closed, whole.asked, parts.closed, parts.asked)
		}
		for i := range whole.asked {
			if whole.asked[i] != parts.asked[i] {
				t.Fatalf("question %d: whole %q, cut %q", i, whole.asked[i], parts.asked[i])
			}
		}
	})
}

// fuzzed is a peer whose questions are answered by the bits of seed, Yes for 0.
func fuzzed(seed uint64) *peer {
	cfg := testConfig()
	cfg.APOP, cfg.ReplyBudget, cfg.MaxErrors = true, 64, 5
	cfg.Mechanisms = sasl.SetOf(sasl.Plain, sasl.Login, sasl.CramMD5, sasl.ScramSHA256)
	cfg.Nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }
	p := newPeer(cfg, 100, 200, 300, 400, 500)
	p.verdicts = func(Question) Verdict {
		no := seed&3 == 3
		seed >>= 2
		if !no {
			return Yes
		}
		v := Denied + Verdict(seed%6)
		seed >>= 3
		return v
	}
	return p
}
