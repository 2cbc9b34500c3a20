package incoming

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"postrider/codec/dot"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// place is a store for one message, and a directory.
type place struct {
	storage.Store // nil: other methods are not called
	names         map[string]storage.Address
	refuse        error // the result of Admit
	fail          error // the result of Deliver
	backlog       int64
	keys          *dkim.Keys

	body      []byte
	got       *storage.Delivery
	discarded bool
	notified  int
}

func (p *place) HostsDomain(d string) bool { return d == "a.example" }

func (*place) DomainAlias(string) string { return "" }
func (p *place) Lookup(local, domain string) (storage.Address, error) {
	a, ok := p.names[local]
	if !ok || domain != "a.example" {
		return a, storage.ErrNotFound
	}
	return a, nil
}
func (p *place) Accounts(func(storage.Account) bool) error { return nil }
func (p *place) Admit(int64) error                         { return p.refuse }
func (p *place) NewDraft(int64) storage.Draft              { return draft{p} }
func (p *place) Deliver(d *storage.Delivery) {
	p.got = d
	if p.fail != nil {
		d.Done(d, storage.Receipt{}, p.fail)
		return
	}
	go d.Done(d, storage.NewReceipt(d.Draft.ID()), nil)
}

type draft struct{ p *place }

func (d draft) ID() storage.MessageID    { return 42 }
func (d draft) Append(run []byte)        { d.p.body = append(d.p.body, run...) }
func (d draft) Backlog() int64           { return d.p.backlog }
func (d draft) Discard()                 { d.p.discarded = true }
func (d draft) Notify(_ int64, f func()) { d.p.notified++; d.p.backlog = 0; go f() }

var at = time.Date(2026, 11, 23, 13, 0, 5, 0, time.FixedZone("CET", 3600))

func newPlace() *place {
	return &place{names: map[string]storage.Address{
		"alice": {Account: 1}, "bob": {Account: 2}, "team": {Targets: []string{"bob@a.example", "alice@a.example"}},
		"ring": {Targets: []string{"ring@a.example"}},
	}}
}

func (p *place) submit(t *testing.T, m Mail) (Result, error) {
	t.Helper()
	m.At = at
	k := Entrance{Inbox: p, Keys: p.keys, Router: router.New(p, router.Settings{DefaultDomain: "a.example", Hostname: "mx.a.example", Delimiter: '+'}),
		Hostname: "mx.a.example", DefaultDomain: "a.example", MaxSize: 1 << 20, MaxRecipients: 10, MaxHops: 100}
	return k.Submit(context.Background(), m)
}

const received = "Received: by mx.a.example (postrider, from userid 7) id 000000000001A"

func TestSubmit(t *testing.T) {
	p := newPlace()
	r, err := p.submit(t, Mail{
		Sender: "carol", FullName: "Carol \"C\" D", Recipients: []string{"Alice", "team", "Bob+x@x.example", "eve@Y.example", "Bob+x@X.EXAMPLE", "f@x.example", "nobody", "ring"},
		Text: strings.NewReader("Subject: hi\nBcc: secret@z.example\n\n.dot\né\n"), Notify: smtp.NotifyFailure, Ret: smtp.RetHdrs, EnvID: "e+20v", Origin: "o", Local: "userid 7",
	})
	if err != nil || r.Receipt.ID() != 42 || fmt.Sprint(r.Refused) != "[{nobody@a.example unknown} {ring@a.example alias loop}]" {
		t.Fatal(r, err)
	}
	want := received + ";\r\n\tMon, 23 Nov 2026 13:00:05 +0100 (CET)\r\nSubject: hi\r\n" +
		"Message-ID: <20261123120005.000000000001A@mx.a.example>\r\nDate: Mon, 23 Nov 2026 13:00:05 +0100\r\n" +
		"From: \"Carol \\\"C\\\" D\" <carol@a.example>\r\n\r\n..dot\r\né\r\n"
	if string(p.body) != want {
		t.Errorf("got %q\nwant %q", p.body, want)
	}
	if plain := dot.AppendUnstuffed(nil, p.body); p.got.Size != int64(len(plain)) {
		t.Errorf("size %d, want %d", p.got.Size, len(plain))
	}
	var maildrops []string
	for _, m := range p.got.Recipients {
		maildrops = append(maildrops, fmt.Sprintf("%d %s", m.Account, m.Trace))
	}
	const path = "Return-Path: <carol@a.example>\r\n"
	if want := []string{"1 " + path, "2 " + path + "Delivered-To: bob@a.example\r\n"}; !slices.Equal(maildrops, want) {
		t.Errorf("got %q, want %q", maildrops, want)
	}
	var queued []string
	for _, q := range p.got.Relayed {
		queued = append(queued, fmt.Sprintf("%s %v %v", q.Domain, q.Envelope, q.Recipients))
	}
	if got := strings.Join(queued, "\n"); got != "x.example {carol@a.example e+20v 2 2 false false o } [{Bob+x@x.example  4  } {f@x.example  4  }]\n"+
		"y.example {carol@a.example e+20v 2 2 false false o } [{eve@Y.example  4  }]" {
		t.Error(got)
	}
	if !p.got.Arrival.Equal(at) {
		t.Error(p.got.Arrival)
	}
}

func TestSubmitToThoseOfTheHeader(t *testing.T) {
	f := func(header string, args []string, want ...string) {
		t.Helper()
		p := newPlace()
		_, err := p.submit(t, Mail{Sender: "a", FromHeader: true, Recipients: args, Text: strings.NewReader(header + "\n\nTo: body@w.example\n")})
		var got []string
		if err == nil {
			for _, q := range p.got.Relayed {
				for _, r := range q.Recipients {
					got = append(got, r.ForwardPath)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v %v, want %v", header, got, err, want)
		}
		if bytes.Contains(p.body, []byte("cc: z@z")) {
			t.Errorf("%q: %q", header, p.body)
		}
	}
	f("To: a@x.example, b@x.example\nCC: C <c@y.example>\nbCc: z@z.example", nil, "a@x.example", "b@x.example", "c@y.example", "z@z.example")
	f("To: a@x.example,\n\tb@y.example\nTo: c@z.example", nil, "a@x.example", "b@y.example", "c@z.example")
	f("To: a@x.example\nResent-To: r@x.example\nResent-Bcc: z@z.example", nil, "r@x.example", "z@z.example")
	f("To: a@x.example", []string{"b@x.example", "a@x.example"}, "b@x.example", "a@x.example")
	f("Subject: To: a@x.example", nil)
	f("To: a@x.example b@y.example", nil)
	f("To: a@x.example\nCc: a@y..example", nil)
	f("To: Taro <ta..ro@phone.example>, ji.ro.@phone.example\nCc: Ann@X.example, Ann@x.example", nil, `"ta..ro"@phone.example`, `"ji.ro."@phone.example`, "Ann@X.example")
}

func TestSubmitCompletesTheHeader(t *testing.T) {
	f := func(sender, text, want string) {
		t.Helper()
		p := newPlace()
		if _, err := p.submit(t, Mail{Sender: sender, Recipients: []string{"alice"}, Text: iotest.OneByteReader(strings.NewReader(text))}); err != nil {
			t.Errorf("%q: %v", text, err)
			return
		}
		_, got, _ := strings.Cut(string(p.body), "(CET)\r\n")
		if got != want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
	const id = "Message-ID: <20261123120005.000000000001A@mx.a.example>\r\n"
	const date = "Date: Mon, 23 Nov 2026 13:00:05 +0100\r\n"
	const from = "From: <a@a.example>\r\n"
	f("a", "", id+date+from+"\r\n")
	f("", "hello", id+date+"From: \"Mail Delivery System\" <MAILER-DAEMON@mx.a.example>\r\n\r\nhello\r\n")
	f("a", "From x Mon Nov\nfrom: me\nMessage-id: <1>\nDATE : then\n\nFrom y\n", "from: me@a.example\r\nMessage-id: <1>\r\nDATE : then\r\n\r\nFrom y\r\n")
	f("a", "Return-Path: <x>\n folded\nSubject: s", "Subject: s\r\n"+id+date+from+"\r\n")
	f("a", "Subject: s\nno field\nlast", "Subject: s\r\n"+id+date+from+"\r\nno field\r\nlast\r\n")
	f("a", " begins with a blank\n", id+date+from+"\r\n begins with a blank\r\n")
	f("a", "\nFrom: body\n", id+date+from+"\r\nFrom: body\r\n")
	f("a", "X: "+strings.Repeat("y", 100_000)+"\n\nb\n", "X: "+strings.Repeat("y", 100_000)+"\r\n"+id+date+from+"\r\nb\r\n")
}

func TestSubmitRefuses(t *testing.T) {
	broken := errors.New("the pipe broke")
	f := func(m Mail, why error, text string) {
		t.Helper()
		p := newPlace()
		if m.Recipients == nil {
			m.Recipients = []string{"alice"}
		}
		if m.Text == nil {
			m.Text = strings.NewReader("x")
		}
		r, err := p.submit(t, m)
		if !errors.Is(err, why) || !strings.Contains(err.Error(), text) || r.Receipt.ID() != 0 {
			t.Errorf("%v: %v %v", m.Recipients, r, err)
		}
		if p.got != nil || p.body != nil && !p.discarded {
			t.Errorf("%v: the draft was kept", err)
		}
	}
	f(Mail{Recipients: []string{}}, ErrNoRecipients, "-t")
	f(Mail{Recipients: []string{"a b"}}, storage.ErrInvalid, `"a b"`)
	f(Mail{Recipients: []string{"a,b,c,d,e,f", "g,h,i,j", "k l"}}, storage.ErrInvalid, "smtp.max_recipients")
	f(Mail{Recipients: []string{"alice, 'bob x@y.example', eve@y.example"}}, storage.ErrInvalid, "a comma is missing")
	f(Mail{Recipients: []string{"alice", "eve@-y.example"}}, storage.ErrInvalid, `"eve@-y.example" is not a recipient address`)
	f(Mail{Sender: "a b"}, storage.ErrInvalid, "sender")
	f(Mail{Text: strings.NewReader(strings.Repeat("x", 1<<20))}, storage.ErrInvalid, "smtp.max_size")
	f(Mail{Text: strings.NewReader("X: " + strings.Repeat("x", maxHeader))}, storage.ErrInvalid, "header is longer")
	f(Mail{Text: strings.NewReader(strings.Repeat("Received: x\n", 101))}, storage.ErrInvalid, "loop")
	f(Mail{Text: iotest.ErrReader(broken)}, broken, "")
	f(Mail{Text: io.MultiReader(strings.NewReader("A: b\n\nx"), iotest.ErrReader(broken))}, broken, "")

	p := newPlace()
	p.refuse = storage.ErrFull
	if _, err := p.submit(t, Mail{Recipients: []string{"alice"}, Text: strings.NewReader("x")}); !errors.Is(err, storage.ErrFull) || p.body != nil {
		t.Error(err)
	}
	p = newPlace()
	p.fail = storage.ErrNotFound
	if _, err := p.submit(t, Mail{Recipients: []string{"alice"}, Text: strings.NewReader("x")}); !errors.Is(err, storage.ErrTemporary) {
		t.Error(err)
	}
	p = newPlace()
	if r, err := p.submit(t, Mail{Recipients: []string{"nobody", "who"}, Text: strings.NewReader("x")}); err != nil || len(r.Refused) != 2 || r.Receipt.ID() != 0 || p.body != nil {
		t.Error(r, err)
	}
}

func TestSubmitWaitsForTheStore(t *testing.T) {
	p := newPlace()
	p.backlog = maxBacklog + 1
	if _, err := p.submit(t, Mail{Recipients: []string{"alice"}, Text: strings.NewReader("x")}); err != nil || p.notified != 1 {
		t.Error(p.notified, err)
	}
}

func TestAddressesBeyondASCIIAskForSMTPUTF8(t *testing.T) {
	for _, m := range []Mail{{Sender: "jürgen@b.example", Recipients: []string{"a@x.example"}}, {Recipients: []string{"é@x.example"}}} {
		p := newPlace()
		m.Text = strings.NewReader("x")
		if _, err := p.submit(t, m); err != nil || !p.got.Relayed[0].Envelope.SMTPUTF8 {
			t.Errorf("%+v %v", m, err)
		}
	}
}

// Submit stores a header that parses, with each of the required fields and without Bcc, and
// leaves the body as it is, whatever the text is.
func FuzzComplete(f *testing.F) {
	f.Add("To: a@b\nBcc: c@d\n\nhello\n", "Me")
	f.Add("From: x\r\n y\r\nDate: z\r\n\r\n", "\r\nBcc: x")
	f.Add("From me\n:\n", "é, \"q\"")
	f.Add("BCC:\n \n x\nMessage-ID: <1>\n", "")
	f.Add("From\t:C\nBcc \t: c@d\n", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		in := bufio.NewReaderSize(strings.NewReader(text), 64<<10)
		header, err := readHeader(in, func(int64) error { return nil })
		if err != nil {
			t.Skip()
		}
		body, _ := io.ReadAll(in)
		if !strings.HasSuffix(text, string(body)) {
			t.Fatalf("body %q of %q", body, text)
		}
		c := message.Completion{From: fromField(name, "a@b.example"), MessageID: "i@h", Date: at}
		out := append(c.Append(nil, header), "\r\n"...)
		var z dot.Normalizer
		wire := z.End(z.Append(nil, append(out, body...)))
		plain := dot.AppendUnstuffed(nil, wire)
		m, err := mail.ReadMessage(bytes.NewReader(plain))
		if err != nil {
			// net/mail is stricter about names than RFC 5322's obsolete syntax, and a CR
			// that is dropped can empty a line. The added fields are there all the same.
			if !bytes.Contains(plain, []byte("Message-ID: <i@h>\r\n")) && !bytes.Contains(bytes.ToLower(header), []byte("message-id")) {
				t.Fatalf("%q: %v", plain, err)
			}
			return
		}
		for _, name := range []string{"Bcc", "Resent-Bcc", "Return-Path"} {
			if hasField(m.Header, name) && !strings.Contains(text, "\r") {
				t.Fatalf("%q has %s", plain, name)
			}
		}
		if strings.Contains(text, "\r") {
			return
		}
		for _, name := range []string{"From", "Date", "Message-Id"} {
			if !hasField(m.Header, name) {
				t.Fatalf("%q has no %s", plain, name)
			}
		}
	})
}

// hasField reports whether a header has a field, also where white space comes before its
// colon (RFC 5322 section 4.5), which net/mail leaves at the name.
func hasField(header mail.Header, name string) bool {
	for k := range header {
		if strings.EqualFold(strings.TrimRight(k, " \t"), name) {
			return true
		}
	}
	return false
}

// A full name can't end its field or become an address.
func FuzzFromField(f *testing.F) {
	for _, s := range []string{"", "Al", `A "B" \C`, "é", "\"0ʳ0000", "a\r\nBcc: x", "x <y@z>, ", "\xff", "=?utf-8?q?x?="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		v := fromField(name, "a@b.example")
		list, err := mail.ParseAddressList(v)
		if err != nil || len(list) != 1 || list[0].Address != "a@b.example" || strings.ContainsAny(v, "\r\n") {
			t.Fatalf("%q: %q %v %v", name, v, list, err)
		}
	})
}

// The signature is in front of the message, in maildrops and for other hosts.
func TestSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dkim")
	key, err := dkim.Create(dir, "a.example", "e1", 0)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace()
	if p.keys, err = dkim.Open(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := p.submit(t, Mail{Sender: "carol", Recipients: []string{"alice", "eve@y.example"}, Text: strings.NewReader("Subject: hi\n\n.dot\n")}); err != nil {
		t.Fatal(err)
	}
	front := p.got.Relayed[0].Envelope.Front
	if trace := string(p.got.Recipients[0].Trace); trace != "Return-Path: <carol@a.example>\r\n"+front {
		t.Errorf("trace %q, front %q", trace, front)
	}
	text := front + string(dot.AppendUnstuffed(nil, p.body))
	vs, err := msgauth.VerifyWithOptions(strings.NewReader(text), &msgauth.VerifyOptions{
		LookupTXT: func(string) ([]string, error) { return []string{key.Value()}, nil },
	})
	if err != nil || len(vs) != 1 || vs[0].Err != nil || vs[0].Domain != "a.example" {
		t.Errorf("%v %+v\n%s", err, vs, text)
	}
}

// A message that an alias sends elsewhere has its address in Delivered-To, and is not sent
// there a second time.
func TestForwardLoop(t *testing.T) {
	f := func(header string, ret bool, to []string, want ...string) {
		t.Helper()
		p := newPlace()
		p.names["out"] = storage.Address{Targets: []string{"x@far.example", "alice@a.example"}}
		r, err := p.submit(t, Mail{Sender: "carol", Recipients: to, Return: ret, Text: strings.NewReader(header + "Subject: x\n\nDelivered-To: team@a.example\n")})
		if err != nil {
			t.Fatal(err)
		}
		got := []string{fmt.Sprint(r.Refused)}
		if p.got != nil {
			for _, m := range p.got.Recipients {
				got = append(got, fmt.Sprint(m.Account))
			}
			for _, q := range p.got.Relayed {
				got = append(got, q.Envelope.Front+q.Recipients[0].ForwardPath)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q to %v:\n got %q\nwant %q", header, to, got, want)
		}
	}
	f("", false, []string{"Out+tag"}, "[]", "1", "Delivered-To: out@a.example\r\nx@far.example")
	f("Delivered-To: OUT@a.example\n", false, []string{"out"}, "[{out@a.example mail forwarding loop}]")
	f("Delivered-To: out@a.example\r\n", false, []string{"out", "bob"}, "[{out@a.example mail forwarding loop}]", "2")
	f("Delivered-To:\n out@a.example\n", true, []string{"out", "bob"}, "[]", "2", "out@a.example")
	f("Delivered-To: team@a.example\n", false, []string{"team"}, "[]", "2", "1") // it leads nowhere else
}
