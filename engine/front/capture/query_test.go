package capture

import (
	"testing"
	"time"
)

func TestQuery(t *testing.T) {
	s := summary{
		MessageID: "1@x", From: &address{"Jörg Müller", "joerg@from.example"}, To: []address{{"", "ann@to.example"}},
		Bcc: []address{{"", "secret@bcc.example"}}, Subject: "Your Order 4711", Attachments: 2, inline: 1, Size: 5000, Created: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC),
		ReplyTo:  []address{{"Help", "help@desk.example"}},
		Envelope: Envelope{From: "bounce@list.example", To: []string{"ann@to.example", "secret@bcc.example"}},
	}
	f := func(text string, want bool) {
		t.Helper()
		q, err := parseQuery(text, time.UTC)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			return
		}
		if got, sure := q.matches(&s, "the parcel comes on monday\nprice list.pdf\n", true, true); got != want || !sure {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	f("", true)
	f("order", true)
	f("ORDER müller", true)
	f("order tuesday", false)
	f(`"order 4711" monday`, true)
	f(`"4711 order"`, false)
	f("from:joerg", true)
	f("From:bounce@list", true)
	f("bounce@list", true)
	f("from:ann", false)
	f("to:secret", true)
	f("bcc:secret -bcc:ann", true)
	f("cc:ann", false)
	f("addressed:to.example", true)
	f("subject:order subject:parcel", false)
	f("message-id:1@x has:attachment", true)
	f("!has:attachment", false)
	f("-order", false)
	f("-monday", false)
	f("-tuesday", true)
	f("- x:y", false) // a dash alone is a word, and so is what names no field
	f("reply-to:desk -reply-to:ann", true)
	f("is:unread -is:read !is:read", true)
	f("is:read", false)
	f("after:2026-03-05 before:2026-03-06", true)
	f("after:2026-03-06", false)
	f("before:2026-03-05", false)
	f("-after:2026-03-06", true)
	f(`after:"2026-03-05 11:59" before:"2026-03-05T12:01"`, true)
	f(`after:"5 Mar 2026" before:3/6/2026`, true)
	f(`after:"2026-03-05 12:00 PM" after:2026/03/05 after:"March 5, 2026"`, true)
	f(`after:2026-03-05T14:00:01+02:00`, false)
	f("larger:4999 smaller:5001", true)
	f("larger:5000", false)
	f("smaller:5000", false)
	f("larger:4.8K smaller:1m", true)
	f("larger:5kb", false)
	f("price -smaller:1", true)
	f(`"from:ann"`, false) // quotes are anywhere in a term
	f(`from:"jörg müller"`, true)
	f(`fr"om:jörg m"üller`, true)
	f(`"parcel   comes"`, true)
	f("par\u00adcel", true)
	f(`"monday price"`, false) // the text ends there
	f("https://example.com/x", false)
	f("10:30", false)
	f("-10:30 -https://example.com/x -\"re:x\"", true)
	s.Attachments = 0
	f("has:attachments", false)
	f("has:inline", true)
	s.From, s.To = nil, nil
	f("from:bounce@list", true)
	f("to:secret", true)
	for _, bad := range []string{"from:", `subject:""`, "has:teeth", "is:", "is:starred", "is:tagged", "tag:x", "-tag:x", "after:", "after:yesterday-ish", "-before:13/13/2026", "larger:", "larger:big", "smaller:-1", "larger:1e3",
		"-befor:2026-01-01", "!sender:x", "-list-id:x", `""`, string(make([]byte, maxQuery+1))} {
		if _, err := parseQuery(bad, time.UTC); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

// A text that is too long to decide is not a match, whether the word is to be in it or not.
func TestQuery_OpenIsNoMatch(t *testing.T) {
	f := func(text string, ok, sure bool) {
		t.Helper()
		q, err := parseQuery(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if gotOK, gotSure := q.matches(&summary{Subject: "one"}, "two", false, true); gotOK != ok || gotSure != sure {
			t.Errorf("%q: %v, %v", text, gotOK, gotSure)
		}
	}
	f("two", true, true)
	f("one", true, true)
	f("three", false, false)
	f("-three", false, false)
	f("-two", false, true)
	f("-three subject:two", false, true)
	f("-has:attachment", false, false)
	f("subject:two", false, true)
}
