package quote

import (
	"regexp"
	"testing"
)

var rules = map[Rule][2]*regexp.Regexp{
	{Word: "From "}:                       {regexp.MustCompile(`(?m)^(>*)(From )`), regexp.MustCompile(`(?m)^(>*)>(From )`)},
	{Word: "from:", Fold: true, CR: true}: {regexp.MustCompile(`(?i)(\A|\r|\n)(>*From:)`), regexp.MustCompile(`(?i)(\A|\r|\n)>(>*From:)`)},
}

// The regular expressions are the slow, obvious twins.
func FuzzQuote(f *testing.F) {
	f.Add("From x\nFrom:\r>From:\n>>From y\nFro\n>Fr>From \n>", uint8(2))
	f.Fuzz(func(t *testing.T, text string, cut uint8) {
		for rule, twin := range rules {
			q := Quoter{Rule: rule}
			var quoted []byte
			for in := []byte(text); len(in) > 0; {
				n := min(len(in), int(cut%7)+1)
				quoted = q.Append(quoted, in[:n])
				in = in[n:]
			}
			quoted = q.Flush(quoted)
			want := twin[0].ReplaceAllString(text, "$1>$2")
			if string(quoted) != want {
				t.Fatalf("%v: %q quoted: got %q, want %q", rule, text, quoted, want)
			}
			u := Unquoter{Rule: rule}
			var back []byte
			for in := quoted; len(in) > 0; {
				out, used, found := u.Append(back, in[:min(len(in), int(cut%7)+1)])
				if found {
					t.Fatalf("%v: bare word in %q", rule, quoted)
				}
				back, in = out, in[used:]
			}
			if back = u.Flush(back); string(back) != text {
				t.Fatalf("%v: %q came back as %q", rule, text, back)
			}
		}
	})
}

func TestUnquoter_findsTheBareWord(t *testing.T) {
	u := Unquoter{Rule: Rule{Word: "From "}}
	src := []byte("a\n>From \nFrom b")
	out, used, found := u.Append(nil, src)
	if string(out) != "a\nFrom \n" || string(src[used:]) != "b" || !found {
		t.Errorf("got %q, %d, %v", out, used, found)
	}
}
