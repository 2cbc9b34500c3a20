package server

import (
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/engine/front/web"
	"postrider/engine/host/history"
	"postrider/storage"
)

// past wants these kinds of events of a message.
func (f *fixture) past(t *testing.T, id storage.MessageID, want string) []history.Read {
	t.Helper()
	found, _, err := f.history.Find(id)
	got := ""
	for i := range found {
		got += found[i].Kind.String() + " "
	}
	if err != nil || strings.TrimSpace(got) != want {
		t.Fatalf("%s: %q, want %q: %v", id, got, want, err)
	}
	return found
}

// Mail of the web client, what it deletes, and a copy that goes by the queue are in the
// history of their messages.
func TestHistoryOfTheWebClient(t *testing.T) {
	f := start(t, nil, nil)
	mbrain, err := f.router.Login([]byte("mbrain"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.webSubmit(t.Context(), mbrain, letterOf("mbrain@localhost", "jsmith@localhost"))
	if err != nil {
		t.Fatal(err)
	}
	e := f.past(t, r.Receipt.ID(), "received")[0]
	if e.Text(history.Door) != "web" || e.Text(history.Login) != "mbrain@localhost" || e.Text(history.To) != "jsmith@localhost" {
		t.Errorf("%+v", e)
	}
	f.handlers(t)
	jsmith, err := f.router.Login([]byte("jsmith"))
	if err != nil {
		t.Fatal(err)
	}
	var told []storage.MessageID
	box := web.Mailbox{Store: f.store, Account: jsmith.ID, Deleted: func(ids []storage.MessageID) { told = ids }}
	ids := []storage.MessageID{r.Receipt.ID()}
	if err := box.Delete(t.Context(), ids); err != nil || len(told) != 1 || told[0] != ids[0] {
		t.Errorf("%v %v", told, err)
	}
	if f.web.Settings().History != f.history {
		t.Error("the web client has no history")
	}
}

// A session is told of the history only when it is kept: a reload turns it off and on.
func TestHistoryIsTurnedOff(t *testing.T) {
	f := start(t, func(c *config.Config) { c.Log.History = 0 }, nil)
	send := func() storage.MessageID {
		t.Helper()
		p := f.dialSMTP(t)
		p.send("EHLO here.test\r\nMAIL FROM:<>\r\nRCPT TO:<mbrain@localhost>\r\nDATA\r\n")
		for !strings.HasPrefix(p.line(), "354") {
		}
		p.send("a: b\r\n\r\nc\r\n.\r\n")
		reply := p.line()
		for _, word := range strings.Fields(reply) {
			if id, err := storage.ParseMessageID(word); err == nil {
				return id
			}
		}
		t.Fatalf("no id in %q", reply)
		return 0
	}
	f.past(t, send(), "")
	next := f.config().Clone()
	next.Log.History = config.Default().Log.History
	f.reload(t, next)
	id := send()
	f.past(t, id, "received")
	next = f.config().Clone()
	next.Log.History = 0
	f.reload(t, next)
	f.past(t, id, "")
}
