package uu

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDecode_Success(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		got := decode([]byte(text), len(text))
		if got.err != "" || fmt.Sprint(got.files) != fmt.Sprint(want) {
			t.Errorf("%q: got %q, %s, want %q", text, got.files, got.err, want)
		}
	}
	const cat = `644 cat.txt false: "Cat"`
	f("begin 644 cat.txt\n#0V%T\n`\nend\n", cat)
	f("begin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\n", cat)
	f("begin 644 cat.txt\n#0V%T\n \nend", cat)
	f("begin 644 cat.txt\n#0V%T\n\nend", cat)                                          // the blank was lost
	f("begin 644 cat.txt\n#0V%T\nend", cat)                                            // no line of zero octets
	f("begin 644 nul.txt\n!``\n\n \n\r\n!00\n`\nend", "644 nul.txt false: \"\\x00A\"") // blank lines put in, with the modern alphabet
	f("begin 644 cat.txt\n#0V%T\n`\nEnd  \n", cat)                                     // as in the seed
	f("begin 644 cat.txt\n#0V%TX\n`\nend", cat)                                        // a checksum
	f("begin 644 cat.txt\n#0V%T    \n`\nend", cat)                                     // blanks from somewhere
	f("begin 644 n\n!00\n`\nend", `644 n false: "A"`)                                  // a last group without its fillers
	f("begin 644 n\n!0\n \nend", `644 n false: "@"`)                                   // the rest was blanks
	f("begin 644 a file.txt\n`\nend", `644 a file.txt false: ""`)
	f("Hello,\nbegin the work\nbegin 644\nbegin 999 x\n begin 644 x\nbegin644 x\nbegin -1 x\n")
	f("x\nbegin 600 a\n#0V%T\n`\nend\ny\nbegin-base64 644 b\nQ2F0\nQ2E=\n====\nz\n", `600 a false: "Cat"`, `644 b true: "CatCa"`)
	f(strings.Repeat("x", 5000)+"\nbegin 644 cat.txt\n#0V%T\n`\nend\n", cat)
}

func TestDecode_Failure(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		for _, cut := range []int{len(text), 1} {
			if got := decode([]byte(text), cut); !strings.HasPrefix(got.err, want) {
				t.Errorf("%q: got %q, want %q", text, got.err, want)
			}
		}
	}
	f("begin 644 a\n#0V%T\n", `line 2: the text ends within the file "a": no line "end"`)
	f("begin 644 a\n#0V%T\n`\n", `line 3: the text ends within the file "a"`)
	f("begin 644 a\n#0V%T\n`\n#0V%T\nend\n", "line 4: \"#0V%T\" after the line of zero octets: expected")
	f("x\nbegin 644 a\n#0V%t\n", `line 3: "t" is not a character of uuencode, at place 5 of the line`)
	f("begin 644 a\nhello\n", `line 2: "hello" can't begin with the number of its octets`)
	f("begin 644 a\n#0V%TXY\n", `line 2: "#0V%TXY" has 6 characters for 3 octets: expected 4`)
	f("begin 644 a\n!``\n#0V\n", `line 3: the line is cut short: 2 characters for 3 octets, expected 4`)
	f("begin 644 a\nM9W)E<\u2019\n", "line 2: \"\u2019\" is not a character of uuencode, at place 7 of the line")
	f("begin-base64 644 a\nQ2F\n", `line 2: "Q2F" is not base64 in groups of four`)
	f("begin-base64 644 a\n"+strings.Repeat("Q2F0", 300)+"\n====\n", "line 2: the line has 1024 characters or more")
	f("begin 644 a\n#0V%T"+strings.Repeat(" ", 1020)+"\n`\nend\n", "line 2: the line has 1024 characters or more")
	f("begin-base64 644 a\nQ2E=\nQ2F0\n", `line 3: "Q2F0" after the end of the base64: expected`)
}

func TestParseBegin_Success(t *testing.T) {
	f := func(line string, want Header) {
		t.Helper()
		if got, ok := ParseBegin([]byte(line)); !ok || got != want {
			t.Errorf("%q: %+v, %v", line, got, ok)
		}
	}
	for line, mode := range map[string]uint32{
		"begin 0 cat": 0, "begin 44 cat": 0o44, "begin 0755 cat": 0o755, "begin 100755 cat": 0o755, "begin 0100600 cat": 0o600,
		"begin 104755 cat": 0o4755, "begin 000000000000000000644 cat": 0o644, "begin   640 \t cat  \r": 0o640, "begin 640\tcat": 0o640,
	} {
		f(line, Header{Mode: mode, Name: "cat"})
	}
	f("begin-base64  600  my  cat", Header{Mode: 0o600, Name: "my  cat", Base64: true})
	f("begin-encoded 644 bXkgY2F0", Header{Mode: 0o644, Name: "my cat"})
	f("begin-base64-encoded 644 bXkgY2F0", Header{Mode: 0o644, Name: "my cat", Base64: true})
}

func TestParseBegin_Failure(t *testing.T) {
	for _, line := range []string{"begin", "begin 644", "begin 644 ", "begin 8 cat", "begin 64x cat", "begin +644 cat", "begin 0x1f cat", "begin 1_0 cat",
		"begin\t644 cat", "beginning 644 cat", "begin-encoded 644 my cat", "begin-encoded-base64 644 bXk=", "begin 0000000000000000000000644 cat", "Begin 644 cat"} {
		if h, ok := ParseBegin([]byte(line)); ok {
			t.Errorf("%q: %+v", line, h)
		}
	}
}

func TestIsLine(t *testing.T) {
	for line, want := range map[string]bool{
		"#0V%T": true, "`": true, "": true, "end": true, "End\r": true, "to stop smoking": false, "M": true, "Hello there": false,
	} {
		if got := IsLine([]byte(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// seedFile is the file that the seed document shows, as it was before a web page made
// the quotes typographic and wrapped the lines again.
const seedFile = `grep "pl?" /var/log/httpd/web664f6.access.log | cut -f 2 -d "?" | cut -f 1 -d "&" > search-data-$1
~/count-pages | sort > stats-$1
cp  ~/website/cgi-bin/suggest-data/data suggest-$1
cp ~/website/cgi-bin/where-data/data where-$1
cp ~/website/cgi-bin/emailer-data/data email-$1
~/getlog > logs-$1
~/total > total-$1
`

func TestSeedFile(t *testing.T) {
	text, err := os.ReadFile("testdata/seed.uu")
	if err != nil {
		t.Fatal(err)
	}
	var d Decoder
	_, n, ev, err := d.Decode(nil, text)
	if ev != Begin || err != nil {
		t.Fatal(ev, err)
	}
	_, _, _, err = d.Decode(nil, text[n:])
	var e *Error
	if !errors.As(err, &e) || e.Line != 2 || e.Reason != "\"\u20191\" is not a character of uuencode, at place 31 of the line" {
		t.Errorf("without repair: %v", err)
	}
	files, err := Repair(text)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	f := files[0]
	if f.Header.Name != "reports" || f.Header.Mode != 0o644 || string(f.Octets) != seedFile || len(f.Doubts) > 0 {
		t.Errorf("%+v:\n%s", f, f.Octets)
	}
	want := "[3 lines with typographic characters or HTML entities were made plain 10 lines were joined and split again into 7, by the length that each begins with]"
	if got := fmt.Sprint(f.Done); got != want {
		t.Errorf("did %s\nwant %s", got, want)
	}
}

func TestRepair(t *testing.T) {
	octets := bytes.Repeat([]byte(`He said: "don't!" <b> & left - so`+"\n"), 20)
	good := AppendFile(nil, Header{Mode: 0o644, Name: "x"}, octets, Backtick)
	f := func(damage string, text []byte, doubts int) {
		t.Helper()
		files, err := Repair(text)
		if err != nil || len(files) != 1 || !bytes.Equal(files[0].Octets, octets) && doubts == 0 || len(files[0].Doubts) != doubts {
			t.Errorf("%s: %+v, %v", damage, files, err)
		}
	}
	f("none", good, 0)
	f("quotes", bytes.ReplaceAll(bytes.ReplaceAll(good, []byte("'"), []byte("\u2019")), []byte(`"`), []byte("\u201c")), 0)
	f("HTML", bytes.ReplaceAll(bytes.ReplaceAll(good, []byte("&"), []byte("&amp;")), []byte("<"), []byte("&lt;")), 0)
	f("indentation", bytes.ReplaceAll(good, []byte("\nM"), []byte("\n   M")), 0)
	begin, body, _ := bytes.Cut(good, []byte("\n"))
	body, _, _ = bytes.Cut(body, []byte("\n`\n"))
	body = bytes.ReplaceAll(body, []byte("\n"), nil)
	wrapped := append(bytes.Clone(begin), '\n')
	for len(body) > 0 {
		n := min(37, len(body))
		wrapped = append(append(wrapped, body[:n]...), '\n')
		body = body[n:]
	}
	f("wrapped", append(wrapped, "end\n"...), 0)
	f("no end", wrapped, 1)
	f("blank lines", bytes.ReplaceAll(good, []byte("\n"), []byte("\n\n")), 0)
	f("a character lost", append(append(bytes.Clone(wrapped[:100]), wrapped[101:]...), "end\n"...), 1)
	if _, err := Repair([]byte("nothing\n")); err == nil {
		t.Error("a text without a file was repaired")
	}
}

// Whatever comes, Repair ends; and what was not damaged comes out as it was.
func FuzzRepair(f *testing.F) {
	f.Add([]byte("begin 644 x\nM9W)E<\n#0V%T\nEnd"), []byte("Cat"))
	f.Fuzz(func(t *testing.T, text, octets []byte) {
		_, _ = Repair(append([]byte("begin 644 x\n"), text...))
		files, err := Repair(AppendFile(nil, Header{Mode: 0o600, Name: "y"}, octets, Backtick))
		if err != nil || len(files) != 1 || !bytes.Equal(files[0].Octets, octets) || len(files[0].Done)+len(files[0].Doubts) > 0 {
			t.Fatalf("%+v, %v", files, err)
		}
	})
}
