package dot

import (
	"bytes"
	"strings"
	"testing"
)

// slowNormalize says the same in four replacements.
func slowNormalize(plain string) string {
	text := strings.ReplaceAll(strings.ReplaceAll(plain, "\r", ""), "\n", "\r\n")
	if !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	return slowStuff(text)
}

func FuzzNormalizer(f *testing.F) {
	for _, s := range []string{"", "a", ".", "a\n.b\r\n..c\rd\r", "\r\n.\r\n", "\n\n.\n", "\r.\r\r\n.", "é\n"} {
		f.Add(s, 1)
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, plain string, cut int) {
		var z Normalizer
		var got []byte
		for piece := range bytesChunks([]byte(plain), 1+(cut&7)) {
			got = z.Append(got, bytes.Clone(piece))
		}
		got = z.End(got)
		if want := slowNormalize(plain); string(got) != want {
			t.Fatalf("%q: got %q, want %q", plain, got, want)
		}
		if c := z.Counts(); c.Wire != int64(len(got)) || c.Size != int64(len(slowUnstuff(string(got)))) {
			t.Fatalf("%q: counts %+v for %q", plain, c, got)
		}
	})
}
