package smtpclient

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"postrider/codec/dot"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// server is our own server's machine with a mailbox in memory.
type server struct {
	s     smtpd.Session
	e     smtpd.Effects
	out   []byte
	draft []byte
	mail  []letter

	orcpts []string // ORCPT of the recipients taken: the machine keeps one until it is answered
}

type letter struct {
	envelope string
	body     string // in plain form
}

func newServer(cfg *smtpd.Config) *server {
	v := new(server)
	v.s.Init(cfg, smtpd.Peer{Addr: "192.0.2.1", Name: "client.example"})
	v.s.Greet(&v.e)
	v.out, v.e = append(v.out, v.e.Reply...), smtpd.Effects{}
	return v
}

// take gives the server what the client sent.
func (v *server) take(t *testing.T, in []byte) {
	for len(in) > 0 {
		v.e.Reset()
		n := v.s.Feed(in, &v.e)
		in = in[n:]
		v.carryOut()
		for v.e.Ask != smtpd.AskNothing {
			a := v.answer(v.e.Ask)
			v.e.Reset()
			v.s.Answer(a, &v.e)
			v.carryOut()
		}
		if n == 0 {
			break
		}
	}
	if len(in) > 0 {
		t.Errorf("the server did not read %q", in)
	}
}

func (v *server) carryOut() {
	if v.e.Drop {
		v.draft = v.draft[:0]
	}
	v.draft = append(v.draft, v.e.Body...)
	v.out = append(v.out, v.e.Reply...)
}

func (v *server) answer(q smtpd.Question) smtpd.Answer {
	switch q {
	case smtpd.AskRecipient:
		if string(v.s.ForwardPath().Local()) == "nobody" {
			return smtpd.Answer{Verdict: smtpd.Unknown}
		}
		tx := v.s.Transaction()
		v.orcpts = append(v.orcpts[:len(tx.Recipients)-1], string(tx.Recipients[len(tx.Recipients)-1].ORcpt))
	case smtpd.AskStored:
		tx := v.s.Transaction()
		m := tx.Mail
		l := letter{envelope: fmt.Sprintf("from=%s size=%d body=%d utf8=%t ret=%d envid=%s", m.From, m.Size, m.Body, m.SMTPUTF8, m.Ret, m.EnvID)}
		for i, r := range tx.Recipients {
			l.envelope += fmt.Sprintf(" to=%s notify=%d orcpt=%s", r.To, r.Notify, v.orcpts[i])
		}
		l.body = string(dot.AppendUnstuffed(nil, v.draft))
		v.draft = v.draft[:0]
		v.mail = append(v.mail, l)
		return smtpd.Answer{Verdict: smtpd.Yes, Receipt: storage.NewReceipt(1)}
	}
	return smtpd.Answer{Verdict: smtpd.Yes}
}

// talk lets both talk until neither has anything to send. The client's body is
// in plain form.
func talk(t *testing.T, p *player, v *server, body string) {
	for !p.closed {
		v.take(t, p.sent)
		p.sent = p.sent[:0]
		if p.s.at.phase == streaming {
			v.take(t, dot.AppendStuffed(nil, []byte(body)))
			p.bodyDone()
			continue
		}
		if len(v.out) == 0 {
			return
		}
		in := bytes.Clone(v.out)
		v.out = v.out[:0]
		if left := p.feedAll(in); len(left) > 0 && !p.closed {
			t.Fatalf("the client left %q", left)
		}
	}
}

// What our client sends, our server takes: three messages in a session, each
// with the envelope.
func TestClientAgainstOurServer(t *testing.T) {
	v := newServer(&smtpd.Config{Hostname: "mx.example", MaxSize: 1 << 20, MaxRecipients: 1000, MaxErrors: 20, MaxHops: 100})
	p := open(t, nil)
	send := func(words, body, effects string, letters ...letter) {
		t.Helper()
		tx, err := parseTransaction(words)
		if err != nil {
			t.Fatal(err)
		}
		p.effects, v.mail = nil, nil
		p.begin(tx)
		talk(t, p, v, body)
		if got := strings.Join(p.effects, "\n"); got != effects {
			t.Errorf("%s:\ngot  %s\nwant %s", words, got, effects)
		}
		if fmt.Sprint(v.mail) != fmt.Sprint(letters) {
			t.Errorf("%s:\nthe server got %q\nwant           %q", words, v.mail, letters)
		}
	}
	text := "Subject: dots\r\n\r\n.\r\n..\r\nQUIT\r\n"
	send("size=34 body=8bit ret=hdrs envid=a+2Bb to=ann@mx.example notify=all orcpt=rfc822;ann@mx.example to=nobody@mx.example", text,
		"send the message\n"+
			"delivered <ann@mx.example> 2.0.0 250 2.0.0 0000000000001 Message accepted for delivery (end of DATA)\n"+
			"permanent <nobody@mx.example> 5.1.1 550 5.1.1 nobody... User unknown (RCPT TO) recipient\ndsn\nready",
		letter{"from=joe@client.example size=34 body=2 utf8=false ret=2 envid=a+2Bb to=ann@mx.example notify=14 orcpt=rfc822;ann@mx.example", text})
	send("to=nobody@mx.example", text,
		"permanent <nobody@mx.example> 5.1.1 550 5.1.1 nobody... User unknown (RCPT TO) recipient\ndsn\nready")
	send("body=binary size=13 utf8 to=ännchen@mx.example", ".\r\n..x\x00.\r\n\r\n",
		"send the message\n"+
			"delivered <ännchen@mx.example> 2.0.0 250 2.0.0 0000000000001 Message accepted for delivery (end of DATA)\ndsn\nready",
		letter{"from=joe@client.example size=13 body=2 utf8=true ret=0 envid= to=ännchen@mx.example notify=0 orcpt=", ".\r\n..x\x00.\r\n\r\n"})
	send("size=2000000", text, "permanent <ann@mx.example> 5.3.4 message size 2000000 exceeds size limit 1048576 of the host message\ndsn\nready")
	p.call(func() { p.s.Quit(&p.e) })
	talk(t, p, v, "")
	if !p.closed {
		t.Error("not closed after QUIT")
	}
}

// A thousand recipients go in groups, and none is lost at their borders.
func TestManyRecipientsAgainstOurServer(t *testing.T) {
	v := newServer(&smtpd.Config{Hostname: "mx.example", MaxRecipients: 600, MaxErrors: 2000, MaxHops: 100})
	p := open(t, nil)
	tx, _ := parseTransaction("many=1000")
	got := 0
	for len(tx.Recipients) > 0 && p.ended < 10 {
		p.begin(tx)
		talk(t, p, v, "x\r\n")
		left := &Transaction{}
		for i, r := range p.s.outcome.Results {
			switch {
			case r.Again:
				left.Recipients = append(left.Recipients, tx.Recipients[i])
			case r.Verdict == Delivered:
				got++
			}
		}
		tx = left
	}
	if got != 1000 || p.ended != 2 || len(v.mail) != 2 {
		t.Errorf("%d recipients in %d transactions and %d letters", got, p.ended, len(v.mail))
	}
}
