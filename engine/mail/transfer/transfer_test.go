package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/codec/dot"
	"postrider/storage"
)

// fake is a store with one maildrop, in memory.
type fake struct {
	messages []stored
	failAt   int  // the delivery that fails, from 1; 0: none
	stop     bool // so do all after it
	tried    int
	conflict func(uidl string) (string, error) // what becomes of a unique-id; nil: it is kept
	refuse   func(d *storage.Delivery, body string) error
}

type stored struct {
	entry storage.Entry
	body  string // wire form
}

type fakeDraft struct {
	id   storage.MessageID
	body []byte
}

func (d *fakeDraft) ID() storage.MessageID    { return d.id }
func (d *fakeDraft) Append(run []byte)        { d.body = append(d.body, run...) }
func (d *fakeDraft) Backlog() int64           { return 0 }
func (d *fakeDraft) Notify(_ int64, f func()) { f() }
func (d *fakeDraft) Discard()                 {}

func (f *fake) Admit(int64) error { return nil }
func (f *fake) NewDraft(int64) storage.Draft {
	return &fakeDraft{id: storage.MessageID(len(f.messages) + 1)}
}
func (f *fake) Deliver(d *storage.Delivery) {
	f.tried++
	if f.tried == f.failAt || f.stop && f.tried > f.failAt {
		d.Done(d, storage.Receipt{}, storage.ErrFull)
		return
	}
	draft := d.Draft.(*fakeDraft)
	if f.refuse != nil {
		if err := f.refuse(d, string(draft.body)); err != nil {
			d.Done(d, storage.Receipt{}, err)
			return
		}
	}
	if r := &d.Recipients[0]; f.conflict != nil {
		var err error
		uidl := r.UIDL
		if r.UIDL, err = f.conflict(uidl); err == nil && uidl != "" && r.UIDL == "" && r.Else != "" {
			r.UIDL, err = f.conflict(r.Else)
		}
		if err != nil {
			d.Done(d, storage.Receipt{}, err)
			return
		}
	}
	f.add(d.Arrival, string(d.Recipients[0].Trace), string(draft.body), d.Size)
	f.messages[len(f.messages)-1].entry.UIDL = []byte(d.Recipients[0].UIDL)
	d.Done(d, storage.NewReceipt(draft.id), nil)
}

func (f *fake) add(at time.Time, trace, body string, size int64) {
	f.messages = append(f.messages, stored{storage.Entry{ID: storage.MessageID(len(f.messages) + 1), Arrival: at,
		Trace: []byte(trace), Wire: int64(len(body)), Size: size}, body})
}

func (f *fake) View(storage.AccountID) (storage.View, error) { return &fakeView{f: f, at: -1}, nil }

type fakeView struct {
	f  *fake
	at int
}

func (v *fakeView) Next() bool { v.at++; return v.at < len(v.f.messages) }
func (v *fakeView) Err() error { return nil }
func (v *fakeView) Close()     {}
func (v *fakeView) Open() (storage.Message, error) {
	return &fakeMessage{v.f.messages[v.at], []byte(v.f.messages[v.at].body)}, nil
}

type fakeMessage struct {
	stored
	left []byte
}

func (m *fakeMessage) Entry() storage.Entry { return m.entry }
func (m *fakeMessage) Close()               {}
func (m *fakeMessage) Next() ([]byte, error) {
	if len(m.left) == 0 {
		return nil, io.EOF
	}
	n := min(len(m.left), 7) // cuts everywhere
	piece := m.left[:n]
	m.left = m.left[n:]
	return piece, nil
}

var (
	account = storage.Account{ID: 7, Name: "mbrain", Domain: "example.com"}
	day     = time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)
)

const trace = "Return-Path: <jsmith@example.com>\r\nDelivered-To: mbrain@example.com\r\n"

const lunch = "From: John <jsmith@example.com>\r\nDate: Sun, 22 Nov 2026 22:59:00 +0000\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\n" +
	"Marshall,\r\nCan we have lunch Monday?\r\nJohn\r\n"

// plain is the message as POP3 gives it, after any trace.
func (s stored) plain() string {
	return string(s.entry.Trace) + string(dot.AppendUnstuffed(nil, []byte(s.body)))
}

func filled(plain ...string) *fake {
	f := new(fake)
	for i, text := range plain {
		f.add(day.Add(time.Duration(i)*time.Minute), trace, string(dot.AppendStuffed(nil, []byte(text))), int64(len(text)))
	}
	return f
}

var samples = []string{
	lunch,
	"Subject: dots\r\n\r\n.\r\n..a\r\nFrom me\r\nFrom: you\r\n>From: us\r\n>From x\r\n",
	"no header at all\r\n",
	"\r\n\r\n\r\n",
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n\x00\xff\r\n",
	"Subject: long\r\n\r\n" + strings.Repeat("0123456789 abcdef\r\n.\r\n", 20000),
}

func TestRoundTrip_octetForOctet(t *testing.T) {
	for _, format := range []Format{RawText, Mbox, Maildir, EML} {
		from, to, dir := filled(samples...), new(fake), t.TempDir()
		o := Options{Format: format, DefaultDomain: "example.com"}
		out, err := Export(context.Background(), from, account, dir, o)
		if err != nil {
			t.Fatalf("format %d: %v", format, err)
		}
		in, err := Import(context.Background(), to, account, dir, o)
		if err != nil || in.Count != out || in.Messages != int64(len(samples)) {
			t.Fatalf("format %d: exported %v, imported %v: %v", format, out, in, err)
		}
		for i, m := range to.messages {
			want := from.messages[i]
			if m.plain() != want.plain() || m.entry.Octets() != want.entry.Octets() || !m.entry.Arrival.Equal(want.entry.Arrival) {
				t.Errorf("format %d, message %d: got %.300q %v, want %.300q %v", format, i, m.plain(), m.entry, want.plain(), want.entry)
			}
			if m.entry.Wire != int64(len(m.body)) || m.entry.Size != int64(len(dot.AppendUnstuffed(nil, []byte(m.body)))) {
				t.Errorf("format %d, message %d: sizes %+v", format, i, m.entry)
			}
		}
		if list, _ := filepath.Glob(filepath.Join(dir, ".*")); len(list) != 0 {
			t.Errorf("format %d leaves %v", format, list)
		}
	}
}

func TestText_looksAsInTheBook(t *testing.T) {
	mixed := "From: a@other.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n--b--\r\n"
	broken := "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8K\r\n!\r\nbW9yZQ==\r\nb\r\n"
	from, dir := filled(lunch, mixed, samples[4], broken), t.TempDir()
	o := Options{Format: Text, DefaultDomain: "example.com"}
	if _, err := Export(context.Background(), from, account, dir, o); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "MBRAIN.TXT"))
	want := "From: jsmith\nTo: mbrain\nDate: Sun, 22 Nov 2026 22:59:00 +0000\nSubject: café\nMarshall,\nCan we have lunch Monday?\nJohn\n" +
		"From: a@other.example\nTo: mbrain\ncafé\n" +
		"From: jsmith\nTo: mbrain\n" +
		"From: jsmith\nTo: mbrain\nhello\nmore\n[The rest of the text is missing or can't be decoded.]\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, want %q (%v)", got, want, err)
	}
	to := new(fake)
	if n, err := Import(context.Background(), to, account, filepath.Join(dir, "MBRAIN.TXT"), o); err != nil || n.Messages != 4 {
		t.Fatal(n, err)
	}
	head, body, _ := strings.Cut(to.messages[0].plain(), "\r\n\r\n")
	if !strings.HasPrefix(head, "From: jsmith@example.com\r\nTo: mbrain@example.com\r\n") || body != "Marshall,\r\nCan we have lunch Monday?\r\nJohn\r\n" {
		t.Errorf("imported as %q, %q", head, body)
	}
}

// What attachments look like, and what becomes of mail that is not as it should be.
func TestText_attachments(t *testing.T) {
	f := func(message, want string) {
		t.Helper()
		dir := t.TempDir()
		if _, err := Export(context.Background(), filled(message), account, dir, Options{Format: Text, DefaultDomain: "example.com"}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "MBRAIN.TXT"))
		if want = "From: jsmith\nTo: mbrain\n" + want; err != nil || string(got) != want {
			t.Errorf("got  %q\nwant %q (%v)", got, want, err)
		}
	}
	part := func(fields, body string) string { return "--b\r\n" + fields + "\r\n\r\n" + body + "\r\n" }
	const mixed, base64 = "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n", "\r\nContent-Transfer-Encoding: base64"
	cat := part("Content-Disposition: attachment; filename=cat.txt\r\nContent-Type: text/plain"+base64, "Q2F0")
	const catBlock = "\nbegin 644 cat.txt\n#0V%T\n`\nend\n"
	f(mixed+part("Content-Type: text/plain", "See:")+cat+part("Content-Type: image/png; name=\"../=?utf-8?q?d=C3=B6g?=.png\""+base64, "RG9n")+"--b--\r\n",
		"See:"+catBlock+"\nbegin 644 d\u00f6g.png\n#1&]G\n`\nend\n")
	f(mixed+part("Content-Type: multipart/alternative; boundary=c", "--c\r\nContent-Type: text/plain\r\n\r\nplain\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>plain\r\n--c--")+cat+"--b--\r\n",
		"plain"+catBlock)
	f(mixed+part("Content-Type: text/html", "<style>p{color:red}</style><p>Dear&nbsp;all,<p>two &lt;<b>bold</b>&gt; words")+cat+"--b--\r\n", "Dear\u00a0all,\n\ntwo <bold> words\n"+catBlock)
	// Controls can do nothing to a terminal; base64 can bring any.
	f("\r\ncolour \x1b[31m\x07 \x7f\u009b2J\f\ttab\r\n", "colour \u241b[31m\u2407 \u2421\ufffd2J\f\ttab\n")
	f("Content-Type: text/html\r\n\r\n<p>a\x1bc</p>\r\n", "a\u241bc\n\n")
	f("Subject: d\xe9j\xe0 vu\r\n\r\n", "Subject: d\u00e9j\u00e0 vu\n")
	f("Subject: \xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\r\n\r\n", "Subject: \u041f\u0440\u0438\u0432\u0435\u0442\n")
	f("Content-Disposition: attachment\r\nContent-Type: text/plain; name=cat.txt"+base64+"\r\n\r\nQ2F0\r\n", "\n"+catBlock)
	f(mixed+cat+"--b--\r\n", "\n"+catBlock)
	f(mixed+part("Content-Type: message/rfc822", "Subject: x\r\n\r\ny")+"--b--\r\n", "\n\nbegin 644 attachment.eml\n/4W5B:F5C=#H@>`T*#0IY\n`\nend\n")
	f("Content-Type: text/plain; charset=koi8-r"+base64+"\r\n\r\n8NLJ18XU\r\n", "\u041f\u0440\u0438\u0432\u0435\u0442\n")
	f("Content-Type: text/plain; charset=windows-1252\r\n\r\n\x80 5\r\n", "\u20ac 5\n")
	f("Content-Type: text/plain; charset=shift_jis\r\n\r\n\x93\xfa\x96{\r\n", "\u65e5\u672c\n")
	f("Content-Type: text/plain; charset=martian\r\n\r\n\x80 5\r\n", "\u20ac 5\n")
	f("Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\n\r\nx\r\n", "Subject: \u65e5\u672c\nx\n")
	// Characters outside of the alphabet are skipped, and a "=" may be missing.
	f("Content-Type: image/x; name=x"+base64+"\r\n\r\nQ2\r\n*F0Q2F\r\n", "\n\nbegin 644 x\n%0V%T0V$`\n`\nend\n")
	// damaged
	f(mixed+strings.Replace(cat, "Q2F0", "Q2F0=Q", 1)+"--b--\r\n", "\n\nbegin 644 cat.txt\n#0V%T\n`\nend\n\n[The rest of cat.txt is missing or can't be decoded.]\n")
	f(mixed+part("Content-Type: text/plain", "x")+"--b\r\nno header", "x\nno header\n[The rest of the text is missing or can't be decoded.]\n")
	f(mixed, "preamble\n\n[The rest of the text is missing or can't be decoded.]\n") // no part at all
	f(mixed+strings.Repeat(part("Content-Disposition: inline", ""), 1100)+"--b--\r\n", "\n\n[There are more parts than are shown here.]\n")
	deep := ""
	for i := range 20 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	dir := t.TempDir()
	if n, err := Export(context.Background(), filled(deep+"\r\nx\r\n"), account, dir, Options{Format: Text}); err != nil || n.Messages != 1 {
		t.Error(n, err)
	}
}

func TestSenderOf(t *testing.T) {
	f := func(trace, header, want string) {
		t.Helper()
		if got := senderOf(storage.Entry{Trace: []byte(trace)}, []byte(header)); got != want {
			t.Errorf("%q %q: %q, want %q", trace, header, got, want)
		}
	}
	f("Return-Path: <a@b.example>\r\n", "From: J Smith <jsmith@c.example>\r\n", "jsmith@c.example")
	f("Return-Path: <a@b.example>\r\n", "Subject: no From\r\n", "a@b.example")
	f("", "Return-Path: <old@b.example>\r\nSubject: imported\r\n", "old@b.example")
	f("Return-Path: <>\r\n", "Subject: a bounce\r\n", "MAILER-DAEMON")
}

func TestExport_neverOverwritesUnlessTold(t *testing.T) {
	for _, format := range []Format{Text, Mbox, Maildir, EML} {
		dir, o := t.TempDir(), Options{Format: format}
		for i, want := range []bool{true, false, true} {
			o.Overwrite = i == 2
			_, err := Export(context.Background(), filled(lunch), account, dir, o)
			if (err == nil) != want || err != nil && !errors.Is(err, os.ErrExist) {
				t.Errorf("format %d, export %d: %v", format, i, err)
			}
		}
		if list, _ := os.ReadDir(dir); len(list) != 1 {
			t.Errorf("format %d leaves %v", format, list)
		}
	}
}

func TestImport_normalizes(t *testing.T) {
	f := func(file, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "a.eml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		to := new(fake)
		if _, err := Import(context.Background(), to, account, path, Options{Format: EML}); err != nil {
			t.Fatal(err)
		}
		if got := to.messages[0].body; got != want {
			t.Errorf("%q: got %q, want %q", file, got, want)
		}
	}
	f("a: b\n\n.c\n", "a: b\r\n\r\n..c\r\n")
	f("a:\rb\r\r\nc\r", "a:b\r\nc\r\n")
	f("no: end", "no: end\r\n")
	// Lines that programs leave on top of a message are not part of it.
	f("\ufeffa: b\n", "a: b\r\n")
	f("\r\n\n\na: b\n", "a: b\r\n")
	f("From x@y.example Tue Feb  6 07:08:09 2024\r\n>From x Tue Feb  6 07:08:09 2024 remote from y\r\na: b\r\n", "a: b\r\n")
	f("From nobody in particular\na: b\n\nFrom c\n", "a: b\r\n\r\nFrom c\r\n")
	f("From : b\n", "From : b\r\n")
	f("Microsoft Mail Internet Headers Version 2.0\r\na: b\r\n", "a: b\r\n")
	// Lines of old Macs, and UTF-16.
	f("a: b\rc: d\r\r.e\r", "a: b\r\nc: d\r\n\r\n..e\r\n")
	f("\xff\xfea\x00:\x00\xe4\x00\n\x00", "a:\u00e4\r\n")
	f("\xfe\xff\x00a\x00:\x20\x14\x00\r", "a:\u2014\r\n")
	f("a\x00:\x00b\x00\r\x00\n\x00", "a:b\r\n")
}

func TestImport_tellsHowManyWereStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.mbox")
	if err := os.WriteFile(path, []byte("From a x\nOne: 1\n\nFrom b x\nTwo: 2\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := &fake{failAt: 2}
	n, err := Import(context.Background(), to, account, path, Options{Format: Mbox})
	if n.Messages != 1 || !errors.Is(err, storage.ErrFull) || !strings.Contains(err.Error(), "message 2") || !strings.Contains(err.Error(), "the first message was stored") {
		t.Errorf("got %v, %v", n, err)
	}
	if _, err := Import(context.Background(), to, account, t.TempDir(), Options{Format: Maildir}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder is taken for a maildir: %v", err)
	}
}

func TestFileName_staysInItsFolder(t *testing.T) {
	o := Options{Format: Mbox, DefaultDomain: "example.com"}
	if got := FileName(storage.Account{Name: "../a/b", Domain: "x.net"}, o); got != "%2e.%2fa%2fb@x.net.mbox" {
		t.Error(got)
	}
}
