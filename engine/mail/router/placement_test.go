package router

import (
	"fmt"
	"testing"

	"postrider/codec/smtp"
	"postrider/storage"
)

// place adds recipients, given as arguments of RCPT, and shows where they went.
func place(t *testing.T, r *Router, mayRelay bool, args ...string) (shown []string, p *Placement) {
	t.Helper()
	p = new(Placement)
	for _, arg := range args {
		rcpt, refused := smtp.ParseRcpt([]byte("TO:"+arg), smtp.ExtDSN, false)
		if refused != nil {
			t.Fatalf("%s: %s", arg, refused.Text)
		}
		o := p.Add(r, &rcpt, mayRelay)
		if o != Local && !(o == NotOurs && mayRelay) {
			shown = append(shown, arg+": "+o.String())
		}
	}
	for _, to := range p.Targets {
		shown = append(shown, fmt.Sprintf("maildrop %d %s", to.Account, to.Expanded))
	}
	for _, e := range p.Relayed {
		for _, to := range e.Recipients {
			shown = append(shown, fmt.Sprintf("%s <%s> notify=%d orcpt=%s", e.Domain, to.ForwardPath, to.Notify, to.ORcpt))
		}
	}
	return shown, p
}

// parsed is a forward-path as RCPT with SMTPUTF8 has it.
func parsed(t *testing.T, to string) smtp.RcptArgs {
	t.Helper()
	rcpt, refused := smtp.ParseRcpt([]byte("TO:<"+to+">"), smtp.ExtDSN, true)
	if refused != nil {
		t.Fatalf("%s: %s", to, refused.Text)
	}
	return rcpt
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPlacement(t *testing.T) {
	r := New(newBook("a.example", "alice@a.example", "bob@a.example", "out@a.example: x@b.example alice@a.example x@b.example"),
		Settings{Hostname: "mx.a.example", DefaultDomain: "a.example", Delimiter: '+'})

	got, _ := place(t, r, true, "<alice@a.example>", "<ALICE+tag@a.example>", "<u@B.example>", "<v@b.example> NOTIFY=NEVER", "<u@b.example>", "<w@c.example>")
	same(t, got, "maildrop 1 ", "b.example <u@B.example> notify=0 orcpt=", "b.example <v@b.example> notify=1 orcpt=", "c.example <w@c.example> notify=0 orcpt=")

	got, _ = place(t, r, false, "<alice@a.example>", "<u@b.example>", "<nobody@a.example>")
	same(t, got, "<u@b.example>: not ours", "<nobody@a.example>: unknown", "maildrop 1 ")

	// An alias leads elsewhere also for clients that may not relay, under the name that
	// was written.
	got, _ = place(t, r, false, "<out@a.example>", "<bob@a.example>")
	same(t, got, "maildrop 1 alice@a.example", "maildrop 2 ", "b.example <x@b.example> notify=0 orcpt=rfc822;out@a.example")

	// Success is told of by way of the queue.
	got, _ = place(t, r, false, "<alice@a.example> NOTIFY=SUCCESS,FAILURE", "<bob@a.example>")
	same(t, got, "maildrop 2 ", fmt.Sprintf("a.example <alice@a.example> notify=%d orcpt=", smtp.NotifySuccess|smtp.NotifyFailure))

	_, p := place(t, r, true, "<alice@a.example>", "<u@b.example>")
	p.Seal(storage.Envelope{ReversePath: "s@a.example"})
	if p.Relayed[0].Envelope.ReversePath != "s@a.example" {
		t.Error("the entry has no envelope")
	}
	p.Reset()
	if len(p.Targets)+len(p.Relayed) != 0 {
		t.Error("Reset leaves something")
	}
}
