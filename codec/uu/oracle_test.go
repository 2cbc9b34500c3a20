package uu

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// plainEncode is uuencode as the manual page describes it, bit by bit.
func plainEncode(octets []byte, a Alphabet) string {
	var b strings.Builder
	put := func(v int) {
		switch {
		case v == 0 && a == Backtick:
			b.WriteByte('`')
		default:
			b.WriteByte(byte(v + 32))
		}
	}
	for len(octets) > 0 {
		n := min(45, len(octets))
		line := append(bytes.Clone(octets[:n]), 0, 0)
		octets = octets[n:]
		put(n)
		for i := 0; i < n; i += 3 {
			for bit := 0; bit < 24; bit += 6 {
				v := 0
				for k := range 6 {
					at := bit + k
					v = v<<1 | int(line[i+at/8]>>(7-at%8)&1)
				}
				put(v)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// outcome is all that a Decoder has to say of a text.
type outcome struct {
	files  []string // "mode name: octets"
	err    string
	number int
}

// decode decodes a text in pieces of cut octets, in memory that is overwritten.
func decode(text []byte, cut int) (o outcome) {
	var d Decoder
	var open []byte
	note := func(ev Event) {
		switch ev {
		case Begin:
			open = nil
		case End:
			h := d.Header()
			o.files = append(o.files, fmt.Sprintf("%o %s %v: %q", h.Mode, h.Name, h.Base64, open))
		}
	}
	for len(text) > 0 {
		piece := bytes.Clone(text[:min(cut, len(text))])
		text = text[len(piece):]
		for whole := piece; len(piece) > 0; {
			out, n, ev, err := d.Decode(nil, piece)
			open = append(open, out...)
			note(ev)
			piece = piece[n:]
			if err != nil {
				o.err, o.number = err.Error(), d.number
				o.files = append(o.files, fmt.Sprintf("left: %q", open))
				return o
			}
			_ = whole
		}
	}
	out, ev, err := d.Close(nil)
	open = append(open, out...)
	note(ev)
	if err != nil {
		o.err = err.Error()
		o.files = append(o.files, fmt.Sprintf("left: %q", open))
	}
	o.number = d.number
	return o
}

// withKernels runs f with vectors, where there are any, and without.
func withKernels(f func(name string)) {
	if !useAVX2 {
		f("no vectors")
		return
	}
	f("AVX2")
	withoutVectors(func() { f("no vectors") })
}

func TestEncodeIsPlain(t *testing.T) {
	octets := make([]byte, 1000)
	for i := range octets {
		octets[i] = byte(i * i * 7)
	}
	withKernels(func(name string) {
		for n := range octets {
			for _, a := range []Alphabet{Backtick, Space} {
				want := plainEncode(octets[:n], a)
				if got := string(AppendEncode([]byte("x"), octets[:n], a)); got != "x"+want {
					t.Fatalf("%s, %d octets:\n%s\nwant\n%s", name, n, got, want)
				}
				if EncodedLen(n) != len(want) {
					t.Fatalf("EncodedLen(%d) is %d, want %d", n, EncodedLen(n), len(want))
				}
			}
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte("Cat"), uint8(1), uint8(0))
	f.Add(bytes.Repeat([]byte{0, 255, 7}, 100), uint8(50), uint8(1))
	f.Fuzz(func(t *testing.T, octets []byte, cut, alphabet uint8) {
		a := Alphabet(alphabet % 2)
		withKernels(func(name string) {
			lines := AppendEncode(nil, octets, a)
			if string(lines) != plainEncode(octets, a) {
				t.Fatalf("%s: %q", name, lines)
			}
			h := Header{Mode: 0o640, Name: "a b", Base64: cut%3 == 0}
			text := AppendFile(nil, h, octets, a)
			want := outcome{files: []string{fmt.Sprintf("640 a b %v: %q", h.Base64, append([]byte(nil), octets...))}, number: bytes.Count(text, []byte("\n"))}
			for _, text := range [][]byte{text, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))} {
				if got := decode(text, int(cut)+1); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("%s:\n%v\nwant\n%v\nfrom\n%s", name, got, want, text)
				}
			}
			if a == Space && !h.Base64 { // mail strips the blanks
				var stripped []byte
				for line := range bytes.Lines(text) {
					stripped = append(append(stripped, bytes.TrimRight(line, " \n")...), '\n')
				}
				if bytes.IndexByte(octetsLine(text), '`') < 0 {
					if got := decode(stripped, int(cut)+1); fmt.Sprint(got.files) != fmt.Sprint(want.files) {
						t.Fatalf("%s, without the blanks:\n%v\nwant\n%v", name, got, want)
					}
				}
			}
		})
	})
}

// octetsLine is the text after its first line.
func octetsLine(text []byte) []byte {
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	return rest
}

// Any text is understood alike, whatever it is cut into and by whichever kernel.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("begin 644 reports\n#0V%T\n`\nend\n"), uint8(3))
	f.Add([]byte("x\nbegin 644 a\r\n#0V%T\r\nEnd"), uint8(3))
	f.Add([]byte("begin-base64 600 b\nQ2F0\n====\nbegin 644 c\n#0V%\n"), uint8(1))
	f.Add([]byte("begin-base64 600 b\n"+strings.Repeat("Q2F0", 256)+"\n====\nbegin 644 "+strings.Repeat("c", 1020)+"\nend\n"), uint8(9))
	long := AppendFile(nil, Header{Mode: 0o644, Name: "long"}, bytes.Repeat([]byte("post rider"), 40), Space)
	f.Add(long, uint8(70))
	long[200] = 'x'
	f.Add(long, uint8(255))
	f.Fuzz(func(t *testing.T, text []byte, cut uint8) {
		want := ""
		withKernels(func(name string) {
			for _, cut := range []int{len(text) + 1, 1, int(cut) + 1} {
				got := fmt.Sprint(decode(text, cut))
				if want == "" {
					want = got
				}
				if got != want {
					t.Fatalf("%s, cut every %d octets:\n%s\nwant\n%s", name, cut, got, want)
				}
			}
		})
	})
}
