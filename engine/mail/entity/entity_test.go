package entity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	netmail "net/mail"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// shown is a message as Walk tells it: a line a leaf.
func shown(t testing.TB, r io.Reader) string {
	var b strings.Builder
	_, err := Walk(r, DefaultLimits, func(leaf Leaf, body io.Reader) error {
		octets, err := io.ReadAll(body)
		mark := ""
		if leaf.Attachment {
			mark = " file " + leaf.FileName()
		}
		if leaf.Alternative {
			mark += " alternative"
		}
		fmt.Fprintf(&b, "%s %s%s %q\n", leaf.Path, leaf.Type, mark, octets)
		if err != nil {
			fmt.Fprintf(&b, "  %v\n", err)
			if !errors.Is(err, ErrDamaged) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
	}
	return b.String()
}

func TestWalk(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		want = strings.TrimPrefix(want, "\n")
		for _, in := range []string{in, strings.ReplaceAll(in, "\n", "\r\n")} {
			if got := shown(t, strings.NewReader(in)); got != want {
				t.Errorf("%.80q:\n%swant\n%s", in, got, want)
			}
			if got := shown(t, iotest.OneByteReader(strings.NewReader(in))); got != want {
				t.Errorf("%.80q octet by octet:\n%swant\n%s", in, got, want)
			}
		}
	}
	f("Subject: x\n\nhello\n", "1 text/plain \"hello\\n\"\n")
	f("", "1 text/plain \"\"\n")
	f("no header\nat all\n", "1 text/plain \"no header\\nat all\\n\"\n")
	f("Content-Type: text/plain; charset=iso-8859-15\nContent-Transfer-Encoding: Quoted-Printable\n\ncaf=E9 =A4 =\n  =  \n  a=zb \t\nend=",
		"1 text/plain \"café €     a=zb\\nend\"\n")
	f("Content-Type: text/plain\n\ncaf\xe9\n", "1 text/plain \"café\\n\"\n")
	f("Content-Type: text/plain; charset=x-nothing\n\ncafé\n", "1 text/plain \"café\\n\"\n")
	const two = "Content-Type: multipart/mixed; boundary=\"b:1\"\n\npreamble\n"
	f(two+"--b:1\n\none\n-- \n\n--b:1 \nContent-Type: text/html\n\n<p>two\n--b:1--\nepilogue\n--b:1\n\nghost\n", `
1 text/plain "one\n-- \n"
2 text/html "<p>two"
`)
	// A part without a header, one that has only it, one whose header is none.
	f(two+"--b:1\nhello you\n--b:1\nContent-Type: image/png\n--b:1\nContent-Type: text/html\n<broken header\n\nx\n--b:1--\n", `
1 text/plain "hello you"
2 image/png file attachment.png ""
3 text/html "<broken header\n\nx"
`)
	// An mbox file's line, a field that was wrapped badly, an end with something after it.
	f("From x Thu Nov 26\n"+two+"--b:1\nContent-Type: image/png;\nname=\"x.png\"\nContent-Transfer-Encoding: base64\n\nYQ==\n--b:1--> \n", `
1 image/png file x.png "a"
`)
	// Nested; the inner one has no end.
	f(two+"--b:1\nContent-Type: multipart/alternative; boundary=in\n\n--in\n\nplain\n--in\nContent-Type: text/html\n\n<b>\n--b:1\nContent-Disposition: attachment; filename=../a.txt\n\nfile\n--b:1--\n", `
1.1 text/plain alternative "plain"
1.2 text/html alternative "<b>"
2 text/plain file a.txt "file"
`)
	f(two+"--b:1\nContent-Transfer-Encoding: base64\nContent-Disposition: inline; filename*=utf-8''%E2%82%AC.bin\n\naGV sbG8=\n8h!o=\n\n--b:1--", `
1 text/plain file €.bin "hello\xf2\x1a"
`)
}

func TestWalk_uuencoded(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		want = strings.TrimPrefix(want, "\n")
		if got := shown(t, strings.NewReader(in)); got != want {
			t.Errorf("%.80q:\n%swant\n%s", in, got, want)
		}
		if got := shown(t, iotest.OneByteReader(strings.NewReader(strings.ReplaceAll(in, "\n", "\r\n")))); got != want {
			t.Errorf("%.80q octet by octet:\n%swant\n%s", in, got, want)
		}
	}
	f("Subject: x\n\nsee\nbegin 644 a/cat.png\n#0V%T\n`\nend\nbegin 644 times\nand again\n\nbegin 600 b\n`\nend\nbye", `
1 text/plain "see\n"
1u1 image/png file cat.png "Cat"
1 text/plain "begin 644 times\nand again\n\n"
1u2 application/octet-stream file b ""
1 text/plain "bye"
`)
	// A line that can't be read ends the file, and is text.
	f("\nbegin 644 x\n#0V%T\nwhat is this?\nend\n", `
1u1 application/octet-stream file x "Cat"
  the file 1u1 is damaged: line 3: "what is this?" can't begin with the number of its octets: characters from the blank to "`+"`"+`" do that (counted from its line of begin)
1 text/plain "what is this?\nend\n"
`)
	f("\nbegin 644 x\n#0V%T\n", `
1u1 application/octet-stream file x "Cat"
  the file 1u1 is damaged: line 2: the text ends within the file "x": no line "end" (counted from its line of begin)
`)
	f("Content-Type: application/x\nContent-Transfer-Encoding: x-uuencode\n\nx\nbegin 644 x\n#0V%T\n`\nend\n", `
1 application/x file attachment "Cat"
`)
}

func TestWalk_damaged(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got := shown(t, strings.NewReader(in))
		if !strings.Contains(got, want) {
			t.Errorf("%.80q:\n%swant %s", in, got, want)
		}
	}
	const one = "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
	f(one+"\ncut off", "1 text/plain \"cut off\"\n  part 1 is damaged: the message ends within it, 7 octets could be read\n")
	f(one+"Content-Type: a/b\nContent-Transfer-Encoding: base64\n\nYWJjZ\n--b--\n", "\"abc\"\n  part 1 is damaged: it can't be decoded after octet 3 (base64 ends within an octet)\n")
	broken := errors.New("the disk is gone")
	_, err := Walk(io.MultiReader(strings.NewReader(one+"\nx"), iotest.ErrReader(broken)), DefaultLimits, func(_ Leaf, body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
	if !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}

func TestWalk_bombs(t *testing.T) {
	deep := ""
	for i := range 100 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	leaves, err := 0, error(nil)
	_, err = Walk(strings.NewReader(deep+"\nx"), DefaultLimits, func(leaf Leaf, _ io.Reader) error {
		if leaves++; !strings.HasPrefix(leaf.Type, "multipart/") || !leaf.Attachment {
			t.Errorf("%+v", leaf)
		}
		return nil
	})
	if leaves != 1 || err != nil {
		t.Errorf("%d leaves, %v", leaves, err)
	}
	leaves = 0
	_, err = Walk(strings.NewReader("Content-Type: multipart/mixed; boundary=b\n\n"+strings.Repeat("--b\n\n", 5000)), DefaultLimits,
		func(Leaf, io.Reader) error { leaves++; return nil })
	if leaves != DefaultLimits.Parts-1 || err != ErrLimit { // the multipart counts as well
		t.Errorf("%d leaves, %v", leaves, err)
	}
	head, err := ReadHead(io.MultiReader(strings.NewReader("Subject: here\n"), strings.NewReader(strings.Repeat("X: yyyyyyyyyyyyyyyyyyyyyyy\n", 1<<20))), DefaultLimits)
	if head.Subject != "here" || err != nil {
		t.Errorf("%+v, %v", head, err)
	}
}

// A multipart counts as a part, whether there is a leaf in it or not: each of them costs
// its reader a header.
func TestWalk_MultipartsCount(t *testing.T) {
	l := Limits{Depth: 20, Parts: 30, Header: 1 << 10}
	f := func(what, body string, want error) {
		t.Helper()
		octets := 0
		counted := readerFunc(func(p []byte) (int, error) {
			n := copy(p[:min(len(p), 4<<10)], body[octets:])
			octets += n
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		})
		_, err := Walk(counted, l, func(Leaf, io.Reader) error { return nil })
		if err != want {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if want != nil && octets == len(body) {
			t.Errorf("%s: all of it was read", what)
		}
	}
	head := "Content-Type: multipart/mixed; boundary=o\n\n"
	empty := "--o\nContent-Type: multipart/mixed; boundary=i\n\n"
	f("multiparts without anything", head+strings.Repeat(empty, 40_000), ErrLimit)
	f("closed ones", head+strings.Repeat(empty+"--i--\n", 40_000), ErrLimit)
	f("with a leaf each", head+strings.Repeat(empty+"--i\n\nx\n--i--\n", 40_000), ErrLimit)
	f("as many as there may be", head+strings.Repeat(empty+"--i--\n", 28)+"--o\n\nx\n--o--\n", nil)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestWalk_HeadersOfParts(t *testing.T) {
	f := func(fields, disposition, location string) {
		t.Helper()
		_, err := Walk(strings.NewReader("Content-Type: image/gif\n"+fields+"\nGIF89a"), DefaultLimits, func(leaf Leaf, _ io.Reader) error {
			if leaf.Disposition != disposition || leaf.Location != location {
				t.Errorf("%q: %q and %q", fields, leaf.Disposition, leaf.Location)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	f("", "", "")
	f("Content-Disposition: Inline; filename=x\n", "inline", "")
	f("Content-Disposition: ATTACHMENT\nContent-Location: dot.gif\n", "attachment", "dot.gif")
	f("Content-Location: http://example.net/a/very/\n long/way/dot.gif\n", "", "http://example.net/a/very/long/way/dot.gif")
}

func TestReadHead(t *testing.T) {
	f := func(in string, want Head) {
		t.Helper()
		got, err := ReadHead(strings.NewReader(strings.ReplaceAll(in, "\n", "\r\n")+"\r\n\r\nbody"), DefaultLimits)
		if !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("%.80q:\n%+v, %v, want\n%+v", in, got, err, want)
		}
	}
	one := func(name, addr string) []*netmail.Address { return []*netmail.Address{{Name: name, Address: addr}} }
	f("From: =?iso-8859-1?q?J=F6rg?= <j@x.example>\nTo: a@b, \"C, D\" <c@d>\nSubject: =?utf-8?b?4oKs?= \x1b[2J\n  folded",
		Head{From: one("Jörg", "j@x.example"), To: []*netmail.Address{{Address: "a@b"}, {Name: "C, D", Address: "c@d"}}, Subject: "€  [2J  folded"})
	f("From: jsmith\nSubject: caf\xe9\u202egnp.exe", Head{From: one("jsmith", ""), Subject: "café\u00e2\u20ac\u00aegnp.exe"})
	f("From: A B <a.b.@x> (broken)\nMessage-ID: <1@x>\nIn-Reply-To: <2@x> of yesterday\nReferences: <3@x>\n <2@x>",
		Head{From: one("A B", "a.b.@x"), MessageID: "1@x", InReplyTo: []string{"2@x"}, References: []string{"3@x", "2@x"}})
	f("Date: Thu, 26 Nov 2026 10:00:00 +0100 (CET)\nContent-Type: Multipart/Mixed; boundary=x",
		Head{Date: time.Date(2026, 11, 26, 10, 0, 0, 0, time.FixedZone("", 3600)), DateField: "Thu, 26 Nov 2026 10:00:00 +0100 (CET)", Files: true})
	f("To: a@b\nDate: soon\nTo: c@d; nobody",
		Head{To: []*netmail.Address{{Address: "a@b"}, {Address: "c@d"}, {Name: "nobody"}}, DateField: "soon"})
}

func TestParams(t *testing.T) {
	f := func(in, first string, want map[string]string) {
		t.Helper()
		if got, named := params(in); got != first || !reflect.DeepEqual(named, want) {
			t.Errorf("%q: %q, %q, want %q, %q", in, got, named, first, want)
		}
	}
	type m = map[string]string
	f("", "", m{})
	f("Text/HTML (what else); Charset=UTF-8;", "text/html", m{"charset": "UTF-8"})
	f(`a/b; name="a \"b\" \c;d"; x`, "a/b", m{"name": `a "b" \c;d`})
	f(`a/b; name="no end; x=y`, "a/b", m{"name": "no end; x=y"})
	f("a/b; name*=iso-8859-2''%B1%E6.txt", "a/b", m{"name": "ąć.txt"})
	f("a/b; name=old; name*1=def; name*0*=utf-8'en'%E2%82%AC; name*3=lost", "a/b", m{"name": "€def"})
	f("a/b; name==?utf-8?q?=E2=82=AC?=; name=second", "a/b", m{"name": "€"})
	f("a/b; =x; ; *0=y; n*-1=x", "a/b", m{})
}

// What package mime reads, params reads the same.
func FuzzParams(f *testing.F) {
	f.Add(`text/plain; charset="utf-8"; name*0*=utf-8''%41; name*1=b`)
	f.Add(`a/b; x="\""; y=z`)
	f.Fuzz(func(t *testing.T, in string) {
		first, named := params(in)
		kind, want, err := mime.ParseMediaType(in)
		if err != nil || strings.ContainsAny(in, "()%?") || !isPlain(in) || strings.Contains(in, "*") {
			return
		}
		if first != kind {
			t.Errorf("%q: %q, want %q", in, first, kind)
		}
		for name, value := range want {
			if named[name] != value {
				t.Errorf("%q: %s is %q, want %q", in, name, named[name], value)
			}
		}
	})
}

// Reading is bounded, the same however the message is cut, and passes over what it isn't
// asked for.
func FuzzWalk(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\nbegin 644 x\r\n#0V%T\r\n`\r\nend\r\n--b--\r\n"))
	f.Add([]byte("Content-Transfer-Encoding: quoted-printable\n\na=\n =3d=  \n"))
	f.Add([]byte("Content-Type: a/b\nContent-Transfer-Encoding: base64\n\nYW=JjZ=="))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := shown(t, bytes.NewReader(in))
		if cut := shown(t, iotest.HalfReader(bytes.NewReader(in))); cut != whole {
			t.Errorf("%q:\n%s, cut\n%s", in, whole, cut)
		}
		count := 0
		_, err := Walk(bytes.NewReader(in), DefaultLimits, func(Leaf, io.Reader) error { count++; return nil })
		if count == 0 || err != nil && err != ErrLimit {
			t.Errorf("%q: %d leaves, %v", in, count, err)
		}
	})
}

// A draft is read as it was written.
func FuzzDraft(f *testing.F) {
	f.Add("Jörg", "hello\r\nBcc: x", "text\n.\nbegin 644 x\n", "ä/b.txt", []byte{0, 1, 2}, true)
	f.Add("", "", "", "", []byte(nil), false)
	f.Add("a", strings.Repeat("long ", 300), strings.Repeat("y", 2000), strings.Repeat("n", 200)+".png", bytes.Repeat([]byte("x\n"), 50000), false)
	f.Fuzz(func(t *testing.T, name, subject, text, file string, octets []byte, inText bool) {
		d := Draft{
			From: netmail.Address{Name: name, Address: "me@x.example"}, To: []netmail.Address{{Address: "you@x.example"}},
			Subject: subject, Date: time.Unix(1e9, 0).UTC(), MessageID: "1@x", References: []string{"0@x"}, Text: text, UU: inText,
			Attachments: []Attachment{{Name: file, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(octets)), nil }}},
		}
		var out bytes.Buffer
		n, err := d.WriteTo(&out)
		if err != nil || n != int64(out.Len()) {
			t.Fatalf("%d, %v", n, err)
		}
		for line := range strings.SplitSeq(out.String(), "\r\n") {
			if len(line) > maxPlainLine || strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("a line of %d octets: %.100q", len(line), line)
			}
		}
		var gotText strings.Builder
		found := false
		head, err := Walk(&out, DefaultLimits, func(leaf Leaf, body io.Reader) error {
			if !leaf.Attachment {
				_, err := io.Copy(&gotText, body)
				return err
			}
			got, err := io.ReadAll(body)
			found = found || bytes.Equal(got, octets)
			return err
		})
		if !strings.Contains(text, "begin") && err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\r\n", "\n"), "\r", "\n")
		if !strings.Contains(text, "begin") && (!found || strings.TrimRight(gotText.String(), "\n") != strings.TrimRight(want, "\n")) {
			t.Errorf("%q, the file is there: %v, want %q", gotText.String(), found, want)
		}
		if head.Subject != Printable(subject) && !strings.Contains(subject, "=?") || head.MessageID != "1@x" || head.References[0] != "0@x" || !head.Date.Equal(d.Date) {
			t.Errorf("%+v", head)
		}
		if head.From[0].Address != "me@x.example" || head.From[0].Name != Printable(name) && !strings.Contains(name, "=?") {
			t.Errorf("From %q", head.From[0])
		}
	})
}
