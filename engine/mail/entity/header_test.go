package entity

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestReadAddresses(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var texts []string
		for _, a := range ReadAddresses(in) {
			texts = append(texts, AddressText(a))
		}
		if got := strings.Join(texts, " | "); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	f("Bj\xf8rn <b@b.example>, \"=?utf-8?q?=C3=85se?= (home)\" <a@a.example>", "Bjørn <b@b.example> | Åse (home) <a@a.example>")
	f("=?x-lost?q?abc?= <b@b.example>; =?iso-8859-1*da?B?xXNl?= <a@a.example>", "=?x-lost?q?abc?= <b@b.example> | Åse <a@a.example>")
	f("=?utf-8?q?Holm,_Bj=C3=B8rn?= <b@b.example>, those others", "Holm, Bjørn <b@b.example> | those others")
	f("b@b.example\x1b[2J, a\u202e@a.example", "b@b.example [2J | a@a.example")
}

func TestReadText(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := ReadText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	f("", "")
	f("=?utf-8?Q?=C3=A9t=C3=A9?= =?utf-8?b?IMOgIGxh?= plage", "été à la plage")
	f("=?UTF-8*fr?Q?=C3=A9t=C3=A9?=", "été")
	f("=?utf-8?B?w6k?= =?UTF-8?Q?=C3?= \t =?utf-8?Q?=A0?=", "éà")                                    // no padding; a character in two words
	f("=?iso-2022-jp?B?GyRCJDMbKEI=?=\n =?iso-2022-jp?B?GyRCJHMbKEI=?=", "こん")                       // each word shifts for itself
	f("=?x-lost?Q?a?= =?utf-8?Q?=C3=A9?=, =?utf-8?B?A?= end", "=?x-lost?Q?a?= é, =?utf-8?B?A?= end") // what can't be read stays, alone
	f(`say "=?utf-8?Q?=C3=A9?=" (=?koi8-r?B?8NLJ?=)=?utf-8?q?_!?=`, `say "é" (При) !`)
	f("=?windows-1252?q?=93so=94_=80?= =?iso-8859-1?q?=93so=94?=", "“so” €“so”")
	f("=?utf-8?q?caf=E9?= =?utf-8?q?_=E2=82=AC?=", "caf\ufffd €") // one octet that isn't UTF-8
	f("=?utf-8?q?caf=E9?=", "café")                               // no UTF-8 at all
	f("caf\xe9 =?utf-8?q?=C3=A9?= \x1b$B$3\x1b(B", "café é こ")
	f("=?utf-7?q?+AOk-t+AOk-?= =?utf-8?q?no end", "été =?utf-8?q?no end")
	f("=??q?x?= =?utf-8?x?y?= a=?b", "=??q?x?= =?utf-8?x?y?= a=?b")
}

// Python's package email is what words are measured by. Its decode_header does not cut the
// language off, and fails as a whole for a charset that it does not know, so that the
// corpus has neither.
func TestReadText_PythonOracle(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 is missing")
		}
		t.Skip("python3 is missing")
	}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	var corpus []string
	for range 3000 {
		var b strings.Builder
		for range 1 + random.IntN(5) {
			b.WriteString(pick("=?utf-8?Q?gr=C3=BCn?=", "=?UTF-8?B?w7xibGU?=", "=?utf-8?q?=E2?=", "=?utf-8?q?=82=AC?=", "=?iso-8859-2?Q?=B1=E6?=", "=?koi8-r?b?8NLJ18XU?=",
				"=?shift_jis?B?k/qWew==?=", "=?euc-kr?B?vsiz5w==?=", "=?gb2312?B?xOO6ww==?=", "=?big5?B?p0Gmbg=?=", "=?utf-8?q?a_b=3F?=", "=?utf-8?B?eHk=z?=",
				"plain", "two words", `"quoted`, `"`, "(c)", "a=?b", "=?utf-8?x?y?=", "?=", "=41", "_"))
			b.WriteString(pick("", " ", "  ", " \t", ", "))
		}
		corpus = append(corpus, b.String())
	}
	in, err := json.Marshal(corpus)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", `
import email.header, json, sys
def read(v):
    return "".join(p if isinstance(p, str) else p.decode({"gb2312": "gbk", "euc-kr": "cp949", "shift_jis": "cp932"}.get(c, c or "ascii"), "replace") for p, c in email.header.decode_header(v))
print(json.dumps([read(v) for v in json.load(sys.stdin)]))`)
	cmd.Stdin = strings.NewReader(string(in))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, value := range corpus {
		// One that has half a character alone is U+FFFD for Python, and Windows-1252 here.
		if got := ReadText(value); got != Printable(want[i]) && !strings.Contains(want[i], "\ufffd") {
			t.Errorf("%q: %q, Python says %q", value, got, want[i])
		}
	}
}

func TestReadDate(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		at, ok := ReadDate(in)
		got := at.UTC().Format("2006-01-02T15:04:05")
		if !ok {
			got = "none"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	f("Wed, 3 Feb 2021 23:30:00 +0530", "2021-02-03T18:00:00")
	f("Wed,3 Feb 2021 23:30 -0330 (Newfoundland (NST))", "2021-02-04T03:00:00")
	for zone, hour := range map[string]string{"UT": "12", "GMT": "12", "Z": "12", "EDT": "16", "cst": "18", "CDT": "17", "MST": "19", "MDT": "18", "PST": "20", "EST": "17", "PDT": "19",
		"CEST": "12", "A": "12", "-0000": "12", "": "12", "+9959": "12"} {
		f("3 Feb 2021 12:00:01 "+zone, "2021-02-03T"+hour+":00:01")
	}
	f("(today) Wed (or so), 3 Feb (month) 2021 (year) 1:02:03 (at night) GMT", "2021-02-03T01:02:03")
	f("03 feb 99 12:00 EST", "1999-02-03T17:00:00")
	f("3 Feb 49 12:00 GMT", "2049-02-03T12:00:00")
	f("3 Feb 50 12:00 GMT", "1950-02-03T12:00:00")
	f("3 Feb 121 12:00 GMT", "2021-02-03T12:00:00")
	f("Wed Feb  3 12:00:00 2021", "2021-02-03T12:00:00")
	f("Wed Feb  3 12:00:00 PST 2021", "2021-02-03T20:00:00")
	f("Wednesday, 03-Feb-21 12:00:00 GMT", "2021-02-03T12:00:00")
	f("Wed, 3 February 2021 12:00:60 +01:00", "2021-02-03T11:01:00")
	f("Thu, 13 Feb 2020 10:00:00+0100", "2020-02-13T09:00:00")
	for _, in := range []string{"", "soon", "31 Feb 2021 12:00 GMT", "3 Feb 2021", "3 Feb 2021 25:00 GMT", "3 Feb 20211 1:00", "0 Feb 2021 1:00", "3 Feb 2021 1:00 +1", "3 Feb 2021 1:2:3:4",
		"3 3 2021 12:00", "Wed, 3 Feb 0021 12:00 GMT", "(3 Feb 2021 12:00", strings.Repeat("1 ", 200)} {
		f(in, "none")
	}
}

func FuzzReadDate(f *testing.F) {
	f.Add("Wed, 3 Feb 2021 23:30:00 +0530")
	f.Add("3-Feb-21 (x) 1:2 EST")
	f.Fuzz(func(t *testing.T, in string) {
		at, ok := ReadDate(in)
		if !ok {
			return
		}
		if _, err := json.Marshal(at); err != nil {
			t.Fatal(err)
		}
		again, ok := ReadDate(at.Format(time.RFC1123Z))
		if !ok || !again.Equal(at) {
			t.Errorf("%q: %v, and read again %v", in, at, again)
		}
	})
}

// Work and memory for a header grow as the header does, whatever is in it.
func TestHeader_LinearWork(t *testing.T) {
	words := func(v string) int {
		var d wordDecoder
		d.decode(v)
		return d.looked
	}
	for _, piece := range []string{"=?", "=?a?q?", "=?utf-8?q?x?=", "=?utf-8?q?x?= ", "=?utf-8?b?A?= ", "?=", "=?(?q?", "=?x-lost?q??=", "é=?utf-8?q?=E9?="} {
		one, two, four := words(strings.Repeat(piece, 4000)), words(strings.Repeat(piece, 8000)), words(strings.Repeat(piece, 16_000))
		if two > 2*one+100 || four > 2*two+100 {
			t.Errorf("%q: %d, %d, %d octets are looked at", piece, one, two, four)
		}
	}
	count := func(read func(string), v string) float64 {
		return testing.AllocsPerRun(1, func() { read(v) })
	}
	for what, read := range map[string]func(string){
		"addresses":  func(v string) { ReadAddresses(v) },
		"text":       func(v string) { ReadText(v) },
		"parameters": func(v string) { params(v) },
		"head": func(v string) {
			_, _ = ReadHead(strings.NewReader("To: x\n "+strings.ReplaceAll(v, " ", "\n ")+"\nSubject: y\n\n"), DefaultLimits)
		},
		"parts": func(v string) {
			_, _ = Walk(strings.NewReader("Content-Type: multipart/mixed; boundary=b\n\n--b\n"+v), DefaultLimits, skip)
		},
	} {
		for _, piece := range []string{"a@b, ", "<<a@b>", "=?utf-8?q?x?= ", "=?iso-8859-2?q?=B1?= ", "; x*0*=utf-8''a", "; a=\"", "\n--b\n", "(", "\xe9,"} {
			one, two, four := count(read, strings.Repeat(piece, 2000)), count(read, strings.Repeat(piece, 4000)), count(read, strings.Repeat(piece, 8000))
			if two > 2.2*one+100 || four > 2.2*two+100 {
				t.Errorf("%s of %q: %.0f, %.0f, %.0f allocations", what, piece, one, two, four)
			}
		}
	}
	if list := ReadAddresses(strings.Repeat("N <n@x.example>, ", 100_000)); len(list) != 100_000 {
		t.Errorf("%d addresses", len(list))
	}
}

func skip(_ Leaf, body io.Reader) error {
	_, _ = io.Copy(io.Discard, body)
	return nil
}

func TestExtensions(t *testing.T) {
	for kind, want := range map[string]string{"image/jpeg": ".jpg", "video/mp4": ".mp4", "image/tiff": ".tif", "audio/mpeg": ".mp3", "application/x-nothing": "", "message/rfc822": ".eml"} {
		if got := (Leaf{Type: kind}).FileName(); got != "attachment"+want {
			t.Errorf("%s: %s", kind, got)
		}
	}
	if got := (Leaf{Type: "image/jpeg", Name: "a.jfif"}).FileName(); got != "a.jfif" {
		t.Error(got)
	}
}
