package client

import (
	"encoding/json"
	"strings"
	"testing"
)

// What could command a terminal is escaped, and a reader gets it back.
func TestAppendJSON(t *testing.T) {
	for text, want := range map[string]string{
		"plain \u00fc \u6f22 \U0001f600":  "plain \u00fc \u6f22 \U0001f600",
		"\u009b31m":                       `\u009b31m`,
		"\u0085\u009d0;title\u009c":       `\u0085\u009d0;title\u009c`,
		"a\x7fb":                          `a\u007fb`,
		"\u202egpj.exe\u202c":             `\u202egpj.exe\u202c`,
		"\u2066x\u2069\u200f\ufeff\u00ad": `\u2066x\u2069\u200f\ufeff\u00ad`,
		"\u2028\u2029":                    `\u2028\u2029`,
		"\U000e0041\U000e007f":            `\udb40\udc41\udb40\udc7f`,
		"\x1b[2J\r":                       `\u001b[2J\r`,
		"man\u200dwoman \u0915\u200c":     "man\u200dwoman \u0915\u200c",
		"\ufffd":                          "\ufffd",
	} {
		encoded, err := json.MarshalIndent(map[string]string{"k": text}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		got := AppendJSON([]byte("x"), encoded)
		if string(got) != "x{\n\t\"k\": \""+want+"\"\n}" {
			t.Errorf("%q: %q", text, got)
		}
		var back map[string]string
		if err := json.Unmarshal(got[1:], &back); err != nil || back["k"] != text {
			t.Errorf("%q came back as %q, %v", text, back["k"], err)
		}
	}
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("\u202e\u009b\U000e0041<\xff")
	f.Fuzz(func(t *testing.T, text string) {
		encoded, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got := AppendJSON(nil, encoded)
		if clean := Printable(string(got)); clean != string(got) {
			t.Errorf("%q is not safe: %q", text, got)
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") && !strings.Contains(back, "\ufffd") {
			t.Errorf("%q came back as %q, %v", text, back, err)
		}
	})
}
