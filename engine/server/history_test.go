package server

import (
	"slices"
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

// Mail of the web client and what it deletes are in the history of their messages.
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

// What SPF found of a stranger's message is in its history. A recipient that goes by the queue
// has a copy of the message, which tells of what it is one, and the message has the notification.
func TestHistoryOfAStranger(t *testing.T) {
	f := answering(t, nil)
	f.stranger(t, "192.0.2.1").wish("mbrain@here.test", "<jsmith@localhost> NOTIFY=SUCCESS")
	var found []history.Read
	var id storage.MessageID
	until(t, "the message, its copy and the attempt are told", func() bool {
		found, _, _ = f.history.Search(t.Context(), history.Search{Sender: "mbrain@here.test"})
		for _, e := range found {
			if e.Text(history.Queued) != "" {
				id = e.ID
			}
		}
		events, _, _ := f.history.Find(id)
		return len(found) == 2 && len(events) == 3
	})
	all := f.past(t, id, "received attempt notified")
	if e := all[0]; !strings.Contains(e.Text(history.Results), "spf=pass") || e.Text(history.Client) != "unknown[192.0.2.1]" || e.Text(history.Queued) != "jsmith@localhost" {
		t.Errorf("%+v", e)
	}
	if e := all[1]; e.Text(history.Relay) != "local" || e.Text(history.Status) != "sent" {
		t.Errorf("%+v", e)
	}
	notice, err := storage.ParseMessageID(all[2].Text(history.Other))
	if err != nil {
		t.Fatal(err)
	}
	if e := f.past(t, notice, "received")[0]; e.Text(history.Door) != "notification" || e.Text(history.Other) != id.String() || e.Text(history.To) != "mbrain@localhost" {
		t.Errorf("%+v", e)
	}
	both, _, _ := f.history.Search(t.Context(), history.Search{Sender: "mbrain@here.test", Recipient: "jsmith@localhost"})
	if !slices.ContainsFunc(both, func(e history.Read) bool { return e.Kind == history.Attempt && e.ID == id }) {
		t.Errorf("by the sender and the recipient no attempt is found: %+v", both)
	}
	for _, e := range found {
		if e.Text(history.Door) == "queue" && e.Text(history.Other) == id.String() && e.Text(history.To) == "jsmith@localhost" {
			return
		}
	}
	t.Errorf("no copy in %+v", found)
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
