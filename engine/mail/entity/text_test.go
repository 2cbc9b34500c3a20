package entity

import (
	"bytes"
	"io"
	netmail "net/mail"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/text/transform"
)

// texts are the leaves of a message that are shown.
func texts(t testing.TB, in string) string {
	t.Helper()
	var b strings.Builder
	_, err := Walk(iotest.HalfReader(strings.NewReader(in)), DefaultLimits, func(leaf Leaf, body io.Reader) error {
		text, err := io.ReadAll(body)
		if leaf.Attachment {
			b.WriteString("[" + leaf.FileName() + "]")
		} else {
			b.Write(text)
		}
		return err
	})
	if err != nil {
		t.Errorf("%.60q: %v", in, err)
	}
	return b.String()
}

func TestCharsets(t *testing.T) {
	f := func(kind, body, want string) {
		t.Helper()
		if got := texts(t, "Content-Type: "+kind+"\n\n"+body); got != want {
			t.Errorf("%s, %.60q: %.80q, want %.80q", kind, body, got, want)
		}
	}
	for _, label := range []string{"iso-8859-1", "Latin1", "us-ascii", "ISO8859-1", "iso_8859-1:1987", "windows-1252", "cp1252", "CP-1252", "win-1252", "ansi-1252", `"iso-8859-1 (Western)"`} {
		f("text/plain; charset="+label, "\x84Ja\x93 \x96 \xfcber 3\x80", "„Ja“ – über 3€")
	}
	f("text/plain; charset=iso-8859-9", "\xfe\x80", "ş€")
	f("text/plain; charset=tis-620", "\xa1\x85", "ก…")
	f("text/plain; charset=cp-874", "\xa1", "ก")
	f("text/plain; charset=cp-1251", "\xcf\xf0\xe8", "При")
	f("text/plain; charset=x-sjis", "\x93\xfa", "日")
	f("text/plain; charset=MS932", "\x87\x40", "①")
	f("text/plain; charset=eucjp", "\xc6\xfc", "日")
	f("text/plain; charset=iso2022jp", "\x1b$BF|\x1b(B!", "日!")
	f("text/plain; charset=uhc", "\xb0\xa2", "각")
	f("text/plain; charset=iso-2022-kr", "\x1b$)C\x0e0!\x0f ok\n\x0e0!\x0f", "가 ok\n가")
	f("text/plain; charset=x-gbk", "\xd6\xd0", "中")
	f("text/plain; charset=hz-gb-2312", "~{VP~}", "中")
	f("text/plain; charset=ms950", "\xa4\xa4", "中")
	f("text/plain; charset=utf8mb4", "🐟", "🐟")
	f("text/plain; charset=utf-16", "\x00h\x00\xe9", "hé")
	f("text/plain; charset=utf-7", "2 +- 2 +AD0 4, +ZeVnLIqe- +2D3cBw-+--", "2 + 2 = 4, 日本語 🐇+-")
	f("text/plain; charset=unicode-1-1-utf-7", "+2D0- +AGE", "\ufffd a")
	// UTF-8 with an octet that is not, and text that is only labelled UTF-8.
	f("text/plain; charset=utf-8", "Åre \xe5 Ö", "Åre \ufffd Ö")
	f("text/plain; charset=utf-8", "Ystad \xe5 x", "Ystad å x")
	f("text/plain", "Åre Ö \xe5 Ä", "Åre Ö \ufffd Ä")
	// Without a label the first octets beyond ASCII decide, wherever they are.
	far := strings.Repeat("plain words\n", 1000)
	f("text/plain", far+"fran\xe7ais", far+"français")
	f("text/plain; charset=unknown-8bit", far+"français", far+"français")
	f("text/plain; charset=x-lost", far+"fran\xe7ais", far+"français")
	f("text/plain", far+"\x1b$BF|\x1b(B", far+"日")
	f("text/plain", "\x1b[1m \xe9", "\x1b[1m é")
	f("text/plain", "\xef\xbb\xbfé", "é")
	f("text/plain", "\xff\xfeh\x00\xe9\x00", "hé")
	// HTML names its charset in other places, too.
	f("text/html", "<html><head><META http-equiv=x content=y><meta charset='koi8-r'></head>\xf0", "<html><head><META http-equiv=x content=y><meta charset='koi8-r'></head>П")
	f("text/html", `<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">`+"\x93\xfa", `<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">日`)
	f("text/html", strings.Repeat("<!-- x -->", 300)+"<meta charset=windows-1251>\xcf", strings.Repeat("<!-- x -->", 300)+"<meta charset=windows-1251>П")
	f("text/html; charset=utf-8", "<meta charset=koi8-r>é", "<meta charset=koi8-r>é")
	f("text/html", "\xef\xbb\xbf<meta charset=koi8-r>é", "<meta charset=koi8-r>é")
	f("text/html", "<p>na\xefve", "<p>naïve")
}

// What is a file and what is text.
func TestTextOrFile(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := texts(t, in); got != want {
			t.Errorf("%.200q: %q, want %q", in, got, want)
		}
	}
	f("Content-Type: text/plain; name=memo.txt\n\nbody", "body")
	f("Content-Type: text/plain; format=fixed; name=memo.txt\nContent-Disposition: inline\n\nbody", "body")
	f("Content-Type: text/plain; name=memo.txt\nContent-Disposition: attachment\n\nbody", "[memo.txt]")
	f("Content-Type: text/html charset=iso-8859-2\n\n<b>\xb1", "<b>ą")
	f("Content-Type: text/plain; charset=koi8-r format=flowed\n\n\xf0 \n\xf0", "П П")
	f("Content-Type: text/markdown\n\n# one", "# one")
	f("Content-Type: text/enriched; charset=utf-8\n\n<bold>one", "<bold>one")
	f("Content-Type: text/x-something; charset=x-lost\n\none", "[attachment]")
	f("Content-Type: text/calendar\n\nBEGIN", "[attachment.ics]")
	f("Content-Type: text/plain\nContent-Transfer-Encoding: base64;\n\naGk=", "hi")
	f("Content-Type: text/plain\nContent-Transfer-Encoding: \"quoted-printable\" (so)\n\n=41", "A")
	const mixed = "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
	f(mixed+"\nfirst\n--b\nContent-Type: text/plain; name=log.txt\n\nsecond\n--b--\n", "first[log.txt]")
	f(mixed+"\nfirst\n--b\nContent-Type: text/plain; name=log.txt\nContent-Disposition: inline\n\nsecond\n--b--\n", "firstsecond")
	f(mixed+"Content-Type: text/html; name=a.html\n\nfirst\n--b\nContent-Type: text/html; name=b.html\n\nsecond\n--b--\n", "first[b.html]")
	const choice = "Content-Type: multipart/alternative; boundary=b\n\n--b\n"
	f(choice+"Content-Type: text/plain; name=a.txt\n\nfirst\n--b\nContent-Type: text/html; name=a.html\n\n<p>\n--b--\n", "first<p>")
	f(choice+"\nfirst\n--b\nContent-Type: text/x-amp-html\n\n<amp>\n--b\nContent-Type: text/enriched\n\nrich\n--b--\n", "first[attachment.html][attachment.txt]")
}

func TestFlowed(t *testing.T) {
	f := func(params, in, want string) {
		t.Helper()
		got := texts(t, "Content-Type: text/plain; format=Flowed"+params+"\n\n"+in)
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	f("", "one \ntwo \nthree\nfour\n", "one two three\nfour\n")
	f("", "\n\none\n\n", "\n\none\n\n")
	f("; delsp=YES", "東京 \nと大阪\nKyo  \nto\n", "東京と大阪\nKyo to\n")
	f("", "> one \n> two\n>> deep \n> back \nout\n", "> one two\n>> deep \n> back \nout\n")
	f("", " stuffed\n >not quoted\n  two blanks\n", "stuffed\n >not quoted\n two blanks\n")
	f("", "so \n-- \nKim \nLee\n", "so \n-- \nKim Lee\n")
	f("", "> -- \n> Kim\n", "> -- \n> Kim\n")
	f("", "ends open ", "ends open ")
	f("", ">\n>\n", ">\n>\n")
	long := strings.Repeat("word ", 5000)
	f("", long+"\nend\n", long+"end\n")
	f("", "see \nbegin 644 a.txt\n#0V%T\n`\nend\nrest \nof it\n", "see \n[a.txt]rest of it\n")
}

func FuzzUTF7(f *testing.F) {
	f.Add([]byte("+ZeVnLIqe- +2D3cHw- +- +A"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := io.ReadAll(transform.NewReader(bytes.NewReader(in), new(utf7)))
		cut, err2 := io.ReadAll(transform.NewReader(iotest.OneByteReader(bytes.NewReader(in)), new(utf7)))
		if err != nil || err2 != nil || !bytes.Equal(whole, cut) || len(whole) > 3*len(in)+3 {
			t.Errorf("%q: %q %v, cut %q %v", in, whole, err, cut, err2)
		}
	})
}

func FuzzFlowed(f *testing.F) {
	f.Add("> a \n> b\n-- \nx \nbegin 644 x\n#0V%T\n`\nend\n", true)
	f.Fuzz(func(t *testing.T, in string, del bool) {
		whole, err := io.ReadAll(newFlowed(strings.NewReader(in), del))
		cut, err2 := io.ReadAll(newFlowed(iotest.HalfReader(strings.NewReader(in)), del))
		if err != nil || err2 != nil || !bytes.Equal(whole, cut) || len(whole) > 2*len(in)+2 {
			t.Errorf("%q: %q %v, cut %q %v", in, whole, err, cut, err2)
		}
	})
}

// A draft has short lines, the usual order and names of fields, and is labelled 7bit only
// when it is.
func TestDraft_Header(t *testing.T) {
	d := Draft{
		From: netmail.Address{Name: "Пётр Ильич Чайковский, композитор", Address: "p@p.example"}, Date: time.Unix(1e9, 0).UTC(), MessageID: "1@x",
		Subject: strings.Repeat("Ёлка у Ивановых ", 12), Text: "plain",
		Attachments: []Attachment{{Name: strings.Repeat("отчёт ", 9) + ".pdf", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }}},
	}
	for range 30 {
		d.To = append(d.To, netmail.Address{Name: "Some One, Esq.", Address: "some.one@long.domain.example"}, netmail.Address{Address: "n@n.example"})
		d.References = append(d.References, strings.Repeat("r", 40)+"@x.example")
	}
	for _, uu := range []bool{false, true} {
		d.UU = uu
		var out bytes.Buffer
		if _, err := d.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		head, rest, _ := strings.Cut(text, "\r\n\r\n")
		for _, line := range strings.Split(head, "\r\n") {
			if len(line) > 76 || strings.TrimSpace(line) == "" {
				t.Errorf("a line of %d octets: %q", len(line), line)
			}
		}
		if !uu {
			part, _, _ := strings.Cut(rest[strings.Index(rest, "application/pdf"):], "\r\n\r\n")
			for _, line := range strings.Split(part, "\r\n") {
				if len(line) > 76 {
					t.Errorf("a line of %d octets: %q", len(line), line)
				}
			}
		}
		at := 0
		for _, name := range []string{"From:", "\r\nTo:", "\r\nSubject:", "\r\nDate:", "\r\nMessage-ID: <1@x>", "\r\nReferences:", "\r\nMIME-Version: 1.0", "\r\nContent-Type:"} {
			i := strings.Index(head, name)
			if i < at {
				t.Errorf("%q is at %d, after %d:\n%s", name, i, at, head)
			}
			at = i
		}
		if strings.Contains(text, "7bit") && strings.ContainsFunc(text, func(r rune) bool { return r > 127 }) {
			t.Error("7bit is said of octets beyond ASCII")
		}
		name := ""
		got, err := Walk(&out, DefaultLimits, func(leaf Leaf, _ io.Reader) error { name = leaf.Name; return nil })
		if err != nil || got.Subject != strings.TrimSpace(d.Subject) || len(got.To) != 60 || got.To[0].Name != "Some One, Esq." || got.From[0].Name != d.From.Name || len(got.References) != 30 || !strings.HasPrefix(name, "отчёт") {
			t.Errorf("%+v, %q, %v", got, name, err)
		}
	}
}
