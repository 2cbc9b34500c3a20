package capture

import "testing"

func TestQuery(t *testing.T) {
	s := summary{
		MessageID: "1@x", From: &address{"Jörg Müller", "joerg@from.example"}, To: []address{{"", "ann@to.example"}},
		Bcc: []address{{"", "secret@bcc.example"}}, Subject: "Your Order 4711", Attachments: 2,
		Envelope: Envelope{From: "bounce@list.example", To: []string{"ann@to.example", "secret@bcc.example"}},
	}
	f := func(text string, want bool) {
		t.Helper()
		q, err := parseQuery(text)
		if err != nil || q.matches(&s, "the parcel comes on monday") != want {
			t.Errorf("%q: %v, want %v", text, err, want)
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
	s.Attachments = 0
	f("has:attachments", false)
	for _, bad := range []string{"from:", `subject:""`, "has:teeth", string(make([]byte, maxQuery+1))} {
		if _, err := parseQuery(bad); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}
