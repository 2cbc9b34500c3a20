package life

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/engine/front/admin"
	"postrider/engine/host/history"
	"postrider/storage"
)

// past is the history of message 1, made by f.
func past(t *testing.T, f func(l *history.Log)) admin.Past {
	t.Helper()
	l := history.New(history.Options{Dir: filepath.Join(t.TempDir(), "h"), Settings: history.Settings{Keep: 100_000 * time.Hour, Room: 1 << 24}})
	f(l)
	found, s, err := l.Find(1)
	if err != nil {
		t.Fatal(err)
	}
	return admin.Past{Events: found, Summary: s}
}

// text has the facts of an event that are texts, by name.
func text(e *history.Event, facts ...any) *history.Event {
	for i := 0; i < len(facts); i += 2 {
		e.Text(facts[i].(history.Fact), facts[i+1].(string))
	}
	return e
}

func TestEvents(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	defer func() { time.Local = local }()
	m := memory{records: []storage.Record{
		{At: now.Add(2 * time.Second), Text: "attempt 1, and this is not printed"},
		{At: now.Add(4 * time.Second), Text: "attempt 2, whose event was lost\ndeferred"},
	}}
	m.past = past(t, func(l *history.Log) {
		e := text(l.Begin(history.Received, 1, now), history.Door, "submission", history.Client, "c.example[192.0.2.1]", history.Helo, "c", history.Proto, "ESMTPSA",
			history.Login, "ann@x.example", history.Mechanism, "PLAIN", history.TLS, "TLSv1.3 with cipher X", history.Sender, "ann@x.example", history.MessageID, "<1@x>",
			history.Results, "Authentication-Results: mx;\r\n\tspf=pass")
		e.Number(history.Size, 1234)
		e.Time(history.Connected, now.Add(-time.Minute))
		e.Time(history.Mailed, now.Add(-30*time.Millisecond))
		e.Time(history.Began, now.Add(-20*time.Millisecond))
		e.Time(history.Ended, now.Add(-10*time.Millisecond))
		l.Add(text(e, history.To, "bob@x.example", history.Original, "team@x.example", history.To, "carol@x.example", history.Queued, "dave@y.example"))
		e = l.Begin(history.Attempt, 1, now.Add(2*time.Second))
		e.Number(history.Try, 1)
		e.Time(history.Began, now.Add(time.Second))
		e.Time(history.Due, now.Add(time.Hour))
		e.Omit(3)
		l.Add(text(e, history.Domain, "y.example", history.Connection, "in clear text", history.Line, "<-  220 hi", history.To, "dave@y.example",
			history.Relay, "mx[192.0.2.9]:25", history.Status, "deferred", history.DSN, "4.2.1", history.Reason, "later"))
		l.Add(text(l.Begin(history.Act, 1, now.Add(6*time.Second)), history.Words, "held", history.By, "root"))
		l.Add(text(l.Begin(history.Notified, 1, now.Add(3*time.Second)), history.Words, "sender non-delivery notification", history.Other, "0000000000002", history.To, "ann@x.example"))
		l.Add(text(l.Begin(history.Deleted, 1, now.Add(7*time.Second)), history.Account, "bob@x.example", history.By, "pop3", history.Client, "c[192.0.2.1]"))
		l.Add(text(l.Begin(history.Act, 1, now.Add(8*time.Second)), history.Words, "undeleted", history.Account, "bob@x.example", history.By, "root"))
		l.Add(text(l.Begin(history.More, 1, now.Add(5*time.Second)), history.To, "eve@x.example"))
	})
	const want = `0000000000001
2026-11-23 12:00:00.000 +0000  stored; it came by submission, client c.example[192.0.2.1], helo=<c>, ESMTPSA, TLSv1.3 with cipher X, account ann@x.example, by PLAIN
  from <ann@x.example>, 1234 octets, message-id <1@x>
  connected 11:59:00, MAIL 11:59:59.970, first octet 11:59:59.980, whole 11:59:59.990, stored 12:00:00.000
  Authentication-Results: mx; spf=pass
  delivered to the maildrop <bob@x.example> by <team@x.example>
  delivered to the maildrop <carol@x.example>
  queued for <dave@y.example>
2026-11-23 12:00:02.000 +0000  attempt 1 to y.example, in clear text
  begun 12:00:01.000, over 12:00:02.000
  deferred <dave@y.example>, 4.2.1, relay=mx[192.0.2.9]:25: later
    <-  220 hi
  next attempt at 2026-11-23 13:00:00 +0000
  3 more facts or lines had no room
2026-11-23 12:00:03.000 +0000  sender non-delivery notification: message 0000000000002
  to <ann@x.example>
2026-11-23 12:00:04 +0000  attempt 2, whose event was lost
  deferred
2026-11-23 12:00:05.000 +0000  more recipients of this
  delivered to the maildrop <eve@x.example>
2026-11-23 12:00:06.000 +0000  held by root
2026-11-23 12:00:07.000 +0000  deleted from the maildrop bob@x.example by pop3, client c[192.0.2.1]
2026-11-23 12:00:08.000 +0000  undeleted into the maildrop bob@x.example by root
It has left the queue.
`
	if got := told(t, m); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}

	l, err := Read(m, 1, now)
	if err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(l.Line().Events)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"client_address":"192.0.2.1","client_name":"c.example","connected":"2026-11-23T11:59:00Z","door":"submission"`, `"event":"received","from":"ann@x.example"`,
		`"recipients":[{"orig_to":"team@x.example","to":"bob@x.example"},{"to":"carol@x.example"},{"queued":"dave@y.example"}]`,
		`"dialogue":["\u003c-  220 hi"]`, `"left_out":3`, `"act":"held","by":"root","event":"act"`, `"event":"deleted"`, `"event":"notified"`,
	} {
		if !strings.Contains(string(line), part) {
			t.Errorf("no %s in\n%s", part, line)
		}
	}
}

// An attempt is printed once, by its event, also where other events are of the same time.
func TestAnAttemptIsPrintedOnce(t *testing.T) {
	for _, k := range []history.Kind{history.More, history.Notified, history.Act} {
		m := memory{records: []storage.Record{{At: now, Text: "deferred once"}}}
		m.past = past(t, func(l *history.Log) {
			e := text(l.Begin(history.Attempt, 1, now), history.To, "a@x.example", history.Status, "deferred", history.Reason, "deferred once")
			l.Add(e)
			l.Add(text(l.Begin(k, 1, now), history.To, "b@x.example", history.Status, "deferred", history.Words, "x"))
		})
		if got := told(t, m); strings.Count(got, "deferred once") != 1 {
			t.Errorf("%s after an attempt:\n%s", k, got)
		}
	}
}

// A line of a list has few of many recipients. The recipients that are looked for come first,
// by whichever of their addresses; the others stay in order.
func TestALineHasWhatIsLookedFor(t *testing.T) {
	m := past(t, func(l *history.Log) {
		e := text(l.Begin(history.More, 1, now), history.Sender, "ann@x.example")
		for _, to := range []string{"a", "b", "c", "d"} {
			text(e, history.To, to+"@x.example")
		}
		l.Add(text(e, history.To, "e@x.example", history.Original, "Sales@y.example", history.Queued, "f@z.example"))
	})
	f := func(s history.Search, want string) {
		t.Helper()
		var out strings.Builder
		PrintLine(&out, &m.Events[0], &s)
		if !strings.HasSuffix(out.String(), want+"\n") {
			t.Errorf("%+v: %s, want %s", s, out.String(), want)
		}
	}
	f(history.Search{}, "  from <ann@x.example>, delivered to <a@x.example>, delivered to <b@x.example>, delivered to <c@x.example>, and 3 more")
	f(history.Search{Recipient: "D@X.example"}, "  from <ann@x.example>, delivered to <d@x.example>, delivered to <a@x.example>, delivered to <b@x.example>, and 3 more")
	f(history.Search{Recipient: "y.example"}, ", delivered to <e@x.example> by <Sales@y.example>, delivered to <a@x.example>, delivered to <b@x.example>, and 3 more")
	f(history.Search{Recipient: "f"}, ", queued for <f@z.example>, delivered to <a@x.example>, delivered to <b@x.example>, and 3 more")
}

// A history that is too long for an answer is told to be.
func TestThereIsMore(t *testing.T) {
	m := memory{records: []storage.Record{{At: now, Text: "deferred"}}}
	m.past = past(t, func(l *history.Log) {
		l.Add(text(l.Begin(history.Act, 1, now), history.Words, "held", history.By, "root"))
	})
	const words = "The history has more events of it than these 1.\n"
	if got := told(t, m); strings.Contains(got, words) {
		t.Errorf("%s", got)
	}
	m.past.Summary.More = true
	if got := told(t, m); !strings.Contains(got, words) {
		t.Errorf("%s", got)
	}
}

// Others' words in events drive no terminal.
func TestOthersWordsInEvents(t *testing.T) {
	const evil = "\x1b[2J\n\u009b"
	var m memory
	m.past = past(t, func(l *history.Log) {
		for _, k := range []history.Kind{history.Received, history.Attempt, history.Notified, history.Act, history.Deleted, history.More} {
			e := l.Begin(k, 1, now)
			for f := history.Door; f.Name() != ""; f++ {
				if !f.IsNumber() && !f.IsTime() {
					e.Text(f, evil)
				}
			}
			l.Add(e)
		}
	})
	got := told(t, m)
	for i := range m.past.Events {
		var out strings.Builder
		PrintLine(&out, &m.past.Events[i], &history.Search{Recipient: evil})
		got += out.String()
		if strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%q", out.String())
		}
	}
	if strings.ContainsAny(got, evil[:1]+"\u009b") || strings.Count(got, "?[2J") < 30 {
		t.Errorf("%q", got)
	}
}

// The error for an unknown message names what may be the reason.
func TestUnknown(t *testing.T) {
	on := history.Settings{Keep: time.Hour, Room: 1}
	at := func(t time.Time) storage.MessageID { return storage.MessageID(t.UnixMilli() << 22) }
	f := func(id storage.MessageID, s history.Summary, want string) {
		t.Helper()
		if err := unknown(id, &s, now); !strings.Contains(err.Error(), id.String()+" is unknown") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nhas no %q", err, want)
		}
	}
	f(1, history.Summary{Settings: on}, "no id of this host")
	f(at(now.Add(time.Hour)), history.Summary{Settings: on}, "no id of this host")
	f(at(now.Add(-time.Hour)), history.Summary{}, "log.history is 0")
	f(at(now.Add(-time.Hour)), history.Summary{Settings: on}, "empty so far")
	f(at(now.Add(-time.Hour)), history.Summary{Settings: on, Oldest: now.Add(-time.Minute)}, "goes back to")
	f(at(now.Add(-time.Second)), history.Summary{Settings: on, Oldest: now.Add(-time.Minute), LeftOut: 7, Damaged: 2}, "refused")
	f(at(now.Add(-time.Second)), history.Summary{Settings: on, Oldest: now.Add(-time.Minute), LeftOut: 7}, "7 events")
	f(at(now.Add(-time.Second)), history.Summary{Settings: on, Oldest: now.Add(-time.Minute), Damaged: 2}, "2 parts")
}
