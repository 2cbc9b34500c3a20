package history

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A message with more recipients than one event has room for is found by the sender and any
// recipient together, and by the address that led to a recipient.
func TestSearchFindsEachOfManyRecipients(t *testing.T) {
	l := keep(t, generous)
	const many = 2000
	e := l.Begin(Received, 1, time.Now())
	e.Number(Size, 1234)
	e.Text(Sender, "ann@a.example")
	for i := range many {
		e = l.Room(e, 1300)
		e.Text(To, fmt.Sprintf("u%d@b.example", i))
		e.Text(Original, fmt.Sprintf("list%d@c.example", i))
	}
	l.Add(e)
	e = l.Begin(Received, 2, time.Now()) // the sender is the null path
	for i := range many {
		e = l.Room(e, 1300)
		e.Text(To, fmt.Sprintf("u%d@b.example", i))
	}
	l.Add(e)
	if all, _, err := l.Find(1); err != nil || len(all) < 3 {
		t.Fatalf("%d events: there is no More to look for: %v", len(all), err)
	}
	f := func(s Search, want int) {
		t.Helper()
		if all, _, err := l.Search(t.Context(), s); err != nil || len(all) != want {
			t.Errorf("%+v: %d events, want %d: %v", s, len(all), want, err)
		}
	}
	for _, i := range []int{0, many / 2, many - 1} {
		to := fmt.Sprintf("u%d@b.example", i)
		f(Search{Recipient: to}, 2)
		f(Search{Recipient: to, Sender: "Ann@a.example"}, 1)
		f(Search{Recipient: fmt.Sprintf("list%d", i), Sender: "a.example"}, 1)
		f(Search{Recipient: to, Sender: "bob@a.example"}, 0)
	}
	f(Search{Sender: "ann"}, 1) // without a recipient: when it came
}

// What an answer takes in memory is bounded, of one message as of a search, and it tells
// that there is more. A search has no dialogues, and so has room for more events.
func TestAnAnswerIsBounded(t *testing.T) {
	l := keep(t, generous)
	line := strings.Repeat("x", maxText)
	const events = 2500 // with their dialogues they are more than maxFoundOctets
	for i := range events {
		e := l.Begin(Attempt, 1, time.Now())
		e.Text(To, "a@b.example")
		for range 15 {
			e.Text(Line, line)
		}
		e.Text(Tried, line)
		l.Add(e)
		if i%200 == 0 {
			l.Flush()
		}
	}
	l.Flush()
	if n := l.Stats.LeftOut.Load(); n > 0 {
		t.Fatalf("%d left out", n)
	}
	all, s, err := l.Find(1)
	most := maxFoundOctets/(16*maxText) + 1
	if err != nil || !s.More || len(all) > most || len(all) < most*9/10 || len(all[0].Facts) != 17 {
		t.Errorf("%d events, at most %d; more: %v; %v", len(all), most, s.More, err)
	}
	all, s, err = l.Search(t.Context(), Search{Recipient: "a"})
	if err != nil || s.More || len(all) != events {
		t.Fatalf("%d events, want %d; more: %v; %v", len(all), events, s.More, err)
	}
	for _, r := range all {
		if len(r.Facts) != 1 || r.Text(To) != "a@b.example" {
			t.Fatalf("%v", r.Facts)
		}
	}
	for i := range maxFound {
		received(l, 2, time.Now(), "a@b.example")
		if i%1000 == 0 {
			l.Flush()
		}
	}
	if all, s, err = l.Search(t.Context(), Search{Recipient: "a"}); err != nil || !s.More || len(all) != maxFound {
		t.Errorf("%d events; more: %v; %v", len(all), s.More, err)
	}
}
