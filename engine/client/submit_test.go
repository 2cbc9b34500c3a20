package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

const helloed = "S: 220 mx\nC: EHLO [127.0.0.1]\n"

// submit sends a message to a server that follows a script.
func submit(t *testing.T, script string, h Host, to ...string) ([]Refusal, error) {
	t.Helper()
	h.Addr, h.Security = play(t, script), Clear
	return Submit(t.Context(), &h, Envelope{From: "a@x", To: to, Size: 7}, strings.NewReader("a\r\n.b\r\n"))
}

// Each recipient has its own answer, and the message goes to the recipients that were taken.
func TestSubmit_recipients(t *testing.T) {
	refusals, err := submit(t, helloed+"S: 250 mx\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@x>\nS: 550 5.1.1 no\n"+
		"C: RCPT TO:<c@x>\nS: 250 ok\nC: RCPT TO:<d@x>\nS: 450 later\nC: DATA\nS: 354 go\nC: a\nC: ..b\nC: .\nS: 250 ok\nC: QUIT\nS: 221 bye",
		Host{}, "b@x", "c@x", "d@x")
	want := []Refusal{{"b@x", "550 5.1.1 no", false}, {"d@x", "450 later", true}}
	if err != nil || fmt.Sprint(refusals) != fmt.Sprint(want) {
		t.Errorf("%+v %v, want %+v", refusals, err, want)
	}
}

// More recipients than a host takes at once come in transactions of their own (RFC 5321
// section 4.5.3.1.10).
func TestSubmit_crowd(t *testing.T) {
	message := "C: DATA\nS: 354 go\nC: a\nC: ..b\nC: .\nS: 250 ok\n"
	refusals, err := submit(t, helloed+"S: 250-mx\nS: 250 LIMITS RCPTMAX=2\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nS: 250 ok\n"+message+
		"C: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<d@x>\nS: 250 ok\n"+message+"C: QUIT\nS: 221 bye", Host{}, "b@x", "c@x", "d@x")
	if err != nil || len(refusals) != 0 {
		t.Errorf("%+v %v", refusals, err)
	}
}

// A failure of the whole submission is one error with its cause.
func TestSubmit_fails(t *testing.T) {
	user := Host{User: "joe", Password: "secret"}
	f := func(script string, h Host, kind error, want string) {
		t.Helper()
		refusals, err := submit(t, script, h, "b@x")
		if err == nil || kind != nil && !errors.Is(err, kind) || !strings.Contains(err.Error(), want) || len(refusals) != 0 {
			t.Errorf("%q: %+v %v, want %q", script, refusals, err, want)
		}
	}
	f("S: 554 go away\nC: QUIT", Host{}, nil, "554 go away")
	f(helloed+"S: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGpvZQBzZWNyZXQ=\nS: 535 5.7.8 wrong\nC: QUIT", user, ErrRefused, "535 5.7.8 wrong")
	f(helloed+"S: 250-mx\nS: 250 AUTH GSSAPI\nC: QUIT", user, nil, "offers no login")
	f(helloed+"S: 250 mx\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: a\nC: ..b\nC: .", Host{}, ErrDoubt, "may have it")
}

type unreadable struct{ io.ReadSeeker }

func (unreadable) Read([]byte) (int, error) { return 0, errors.New("bad sector") }

// A message that can't be read to its end is not sent: there is no dot.
func TestSubmit_unreadable(t *testing.T) {
	addr := play(t, helloed+"S: 250 mx\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@x>\nS: 250 ok\nC: DATA\nS: 354 go")
	_, err := Submit(t.Context(), &Host{Addr: addr, Security: Clear}, Envelope{From: "a@x", To: []string{"b@x"}}, unreadable{strings.NewReader("")})
	if err == nil || !strings.Contains(err.Error(), "bad sector") {
		t.Errorf("%v", err)
	}
}

// A login alone: nothing is sent.
func TestTrySubmission(t *testing.T) {
	f := func(script string, h Host, want, fault string) {
		t.Helper()
		h.Addr, h.Security = play(t, script), Clear
		how, err := TrySubmission(t.Context(), &h)
		if how != want || (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %q %v, want %q %q", script, how, err, want, fault)
		}
	}
	user := Host{User: "joe", Password: "secret"}
	f(helloed+"S: 250 mx\nC: QUIT\nS: 221 bye", Host{}, "clear text, without a login", "")
	f(helloed+"S: 250-mx\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: am9l\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 ok\nC: QUIT\nS: 221 bye",
		user, "clear text, LOGIN", "")
	f(helloed+"S: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGpvZQBzZWNyZXQ=\nS: 535 wrong\nC: QUIT\nS: 221 bye", user, "", "login was refused")
	f("S: 421 busy", Host{}, "", "421 busy")
	f("S: 220 mx\nC: EHLO [127.0.0.1]", Host{}, "", "lost connection")
}
