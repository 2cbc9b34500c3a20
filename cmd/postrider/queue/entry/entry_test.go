package entry

import (
	"strings"
	"testing"
	"time"

	"postrider/codec/smtp"
	"postrider/storage"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestName(t *testing.T) {
	f := func(id storage.EntryID, want string) {
		t.Helper()
		if got := Name(id); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f(storage.EntryID{Message: 1}, "0000000000001-0")
	f(storage.EntryID{Message: 1, Part: 4294967295}, "0000000000001-4294967295")
}

func TestSender(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		if got := Sender(&storage.QueueEntry{Envelope: storage.Envelope{ReversePath: path}}); got != want {
			t.Errorf("%q: %q", path, got)
		}
	}
	f("", "MAILER-DAEMON")
	f("al@a.example", "al@a.example")
	f("\x1b[2J@a.example", "?[2J@a.example")
}

// No control character reaches a terminal, of either half of Latin-1; other text does.
func TestPrintable(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := Printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	f("grün 犬", "grün 犬")
	f("a\r\nb\tc\x00\x7f", "a??b?c??")
	f("\u009b31m\u0080\u00a0", "?31m?\u00a0")
}

func TestNames(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(RetName(smtp.RetUnsaid), "")
	f(RetName(smtp.RetHdrs), "HDRS")
	f(BodyName(smtp.Body8BitMIME), "8BITMIME")
	f(BodyName(200), "BINARYMIME") // from a store that a later version has written
	f(notifyName(smtp.NotifyNever), "NEVER")
	f(notifyName(smtp.NotifySuccess|smtp.NotifyDelay), "SUCCESS,DELAY")
	f(Time(time.Time{}), "")
}

// What an entry has is shown, what it does not have is left out, and the next attempt
// is worded.
func TestShow(t *testing.T) {
	f := func(e storage.QueueEntry, wanted ...string) {
		t.Helper()
		var out strings.Builder
		if err := Show(&out, &e, now); err != nil {
			t.Fatal(err)
		}
		for _, want := range wanted {
			if line, not := strings.CutPrefix(want, "no "); strings.Contains(out.String(), "\n"+line) == not {
				t.Errorf("%s: in\n%s", want, &out)
			}
		}
	}
	f(storage.QueueEntry{}, "sender:       <>\n", "attempts:     0\n", "due:          now\n", "no origin:", "no warned:", "no smtputf8:", "no last attempt:", "no reason:")
	f(storage.QueueEntry{Held: true, Due: now}, "state:        hold\n", "due:          never: it is held")
	f(storage.QueueEntry{Attempts: 1, Due: now.Add(time.Hour), Warned: true, Envelope: storage.Envelope{SMTPUTF8: true}}, "state:        deferred\n", "warned:       the sender was notified of the delay", "smtputf8:     yes\n", "no due:          now")
	f(storage.QueueEntry{Status: "4.4.1", Reason: "all", Recipients: []storage.QueuedRecipient{
		{ForwardPath: "a@x.example"}, {ForwardPath: "b@x.example", Status: "4.2.2", Reason: "full\x1b", ORcpt: "rfc822;b@y.example"},
	}}, "recipient:    <a@x.example>\n", "recipient:    <b@x.example> orcpt=rfc822;b@y.example: 4.2.2 full?\n")
}

// JSON has UTC, and no due time for an entry that is held.
func TestLineOf(t *testing.T) {
	zone := time.FixedZone("", 3600)
	l := LineOf(&storage.QueueEntry{Arrival: now.In(zone), Due: now.In(zone), Held: true}, now)
	if l.Arrival.Location() != time.UTC || !l.Due.IsZero() || l.State != "hold" {
		t.Errorf("%+v", l)
	}
	if l := LineOf(&storage.QueueEntry{Attempts: 1, Due: now.Add(time.Hour).In(zone)}, now); l.Due.Location() != time.UTC || l.State != "deferred" {
		t.Errorf("%+v", l)
	}
}
