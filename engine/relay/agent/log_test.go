package agent

import (
	"testing"
	"time"

	"postrider/engine/host/maillog"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// The parts of a delay are divided as in Postfix, and make up the whole delay.
func TestDelaysOf(t *testing.T) {
	arrival := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return arrival.Add(time.Duration(s) * time.Second) }
	f := func(what string, e storage.QueueEntry, a queue.Attempt, want maillog.Delays) {
		t.Helper()
		e.Arrival = arrival
		got := delaysOf(&e, &a)
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
		if sum := got.Before + got.Queue + got.Connection + got.Transfer; sum != a.At.Sub(arrival) {
			t.Errorf("%s: the parts are %v, the delay is %v", what, sum, a.At.Sub(arrival))
		}
	}
	second := time.Second
	f("a first attempt after a slow DATA", storage.QueueEntry{Due: at(7)}, queue.Attempt{Began: at(8), Handed: at(10), At: at(14)}, maillog.Delays{Before: 7 * second, Queue: second, Connection: 2 * second, Transfer: 4 * second})
	f("a host that was not reached", storage.QueueEntry{Due: at(7)}, queue.Attempt{Began: at(8), At: at(38)}, maillog.Delays{Before: 7 * second, Queue: second, Connection: 30 * second})
	f("a later attempt", storage.QueueEntry{Due: at(900), Attempts: 1}, queue.Attempt{Began: at(903), Handed: at(904), At: at(905)}, maillog.Delays{Before: 900 * second, Queue: 3 * second, Connection: second, Transfer: second})
	f("a clock of the queue that is ahead", storage.QueueEntry{Due: at(3607), Ahead: time.Hour}, queue.Attempt{Began: at(8), Handed: at(8), At: at(9)}, maillog.Delays{Before: 7 * second, Queue: second, Transfer: second})
	f("an attempt before it was due", storage.QueueEntry{Due: at(900)}, queue.Attempt{Began: at(60), Handed: at(61), At: at(62)}, maillog.Delays{Before: 60 * second, Connection: second, Transfer: second})
	f("a due time before the arrival", storage.QueueEntry{Due: at(-5)}, queue.Attempt{Began: at(1), Handed: at(1), At: at(1)}, maillog.Delays{Queue: second})
	f("held, and returned", storage.QueueEntry{Held: true}, queue.Attempt{At: at(5), NotMade: true}, maillog.Delays{Before: 5 * second})
	f("given up without an attempt", storage.QueueEntry{Due: at(2)}, queue.Attempt{At: at(5), NotMade: true}, maillog.Delays{Before: 2 * second, Queue: 3 * second})
}
