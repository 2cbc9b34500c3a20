package uu

import (
	"testing"

	"postrider/codec/growth"
)

// Lines of wrong lengths, characters of print, files without an end, and what follows the
// last line cost as much as there is of them.
func TestRepair_Growth(t *testing.T) {
	full := "M" + growth.Repeat("x", 59) + "\n"
	for what, h := range map[string]struct{ unit, end string }{
		"lines of one octet":             {"!AAAA\n", ""},
		"lines of one octet in one":      {"!AAAA", "\nend\n"},
		"lines that are too short":       {"M!\n", ""},
		"lines that are too long":        {full[:len(full)-1] + "xx\n", ""},
		"one line":                       {"M", "\n"},
		"many small files":               {"begin 644 x\nend\n", ""},
		"begin within a file":            {"begin 644 x\n", ""},
		"typographic quotes":             {"\u201c\u2019\u2026\n", "end\n"},
		"entities":                       {"&amp;lt;&lt;\n", "end\n"},
		"indentation":                    {" \t \n", "x\n"},
		"zeros after all":                {"!AAAA", growth.Repeat("`", 4<<10) + "x\n"},
		"line ends":                      {"\n", "end"},
		"CRs":                            {"\r", "\nend\n"},
		"characters that are of no line": {"\x7f\xff", "\n"},
		"zero octets and more":           {"`x\n", ""},
		"lengths that slip":              {"M" + growth.Repeat("M", 57) + "\n", ""},
	} {
		growth.Linear(t, what, 16<<10, func(n int) func() {
			text := []byte("begin 644 a\n" + growth.Repeat(h.unit, n) + h.end)
			return func() { _, _ = Repair(text) }
		})
	}
	// What follows may grow as well as the lines.
	growth.Linear(t, "lines, and as many zeros", 8<<10, func(n int) func() {
		text := []byte("begin 644 a\n" + growth.Repeat("!AAAA", n) + growth.Repeat("`", n) + "\x7f\n")
		return func() { _, _ = Repair(text) }
	})
}

// A text in pieces of any size is decoded in one pass.
func TestDecode_Growth(t *testing.T) {
	for _, piece := range []int{1, 7, 4096} {
		for _, unit := range []string{"begin 644 x\n", "begin", "!AAAA\n", "`\nend\nbegin 644 x\n", "x", "\n", "begin-base64 644 x\n====\n", "begin 644 x\n!AAAA\n`\nend\n", "begin \n", "\r"} {
			growth.Linear(t, unit, 8<<10, func(n int) func() {
				text := []byte("begin 644 x\n!AAAA\n" + growth.Repeat(unit, n))
				dst := make([]byte, 0, len(text))
				return func() {
					var d Decoder
					for at := 0; at < len(text); {
						_, used, _, err := d.Decode(dst[:0], text[at:min(at+piece, len(text))])
						if err != nil {
							d = Decoder{}
						}
						at += max(used, 1)
					}
					_, _, _ = d.Close(dst[:0])
				}
			})
		}
	}
}
