package queue

import (
	"encoding/json"
	"testing"

	"postrider/cmd/postrider/queue/life"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
)

func TestWhy(t *testing.T) {
	s, q, _ := withQueue(t)
	shelltest.Fill(q)
	shelltest.Same(t, "why", s.Want(0, "", "why 0000000000001"), `0000000000001
2020-11-23 12:00:05 +0000  from <Alice@a.example>, 27 octets
  brought by client unknown[192.0.2.1] helo=<h> by ESMTP
2020-11-23 12:00:06 +0000  x.example: deferred: 4.4.1 connect to mx.x.example[192.0.2.2]:25: Connection timed out
2020-11-23 13:00:05 +0000  x.example: deferred
  <dave@x.example>: 452 4.2.2 full
0000000000001-0  to x.example: next attempt at 2199-01-02 03:04:05 +0000, after 3 attempts
  <bob@x.example>: 4.4.1 connect to mx.x.example[192.0.2.2]:25: Connection timed out
  <carol@x.example>: 4.4.1 connect to mx.x.example[192.0.2.2]:25: Connection timed out
  <dave@x.example>: 4.2.2 host mx.x.example[192.0.2.2] said: 452 4.2.2 full
0000000000001-1  to y.example: held, after 1 attempt; "postrider queue release 0000000000001-1" lets it go
  <eve@y.example>: 4.7.1 host mx.y.example said: 450 4.7.1 ?[31mgreylisted
`)
	shelltest.Same(t, "due", s.Want(0, "", "why 0000000000002-0"), `0000000000002
2020-11-28 12:00:05 +0000  from <>, 3600 octets
0000000000002-0  to x.example: due now
  <bob@x.example>
`)
	shelltest.Same(t, "gone", s.Want(0, "", "why 0000000000009"), `0000000000009
2020-11-23 12:00:05 +0000  w.example: sent: mx.w.example[192.0.2.9]:25: 250 ok
It has left the queue.
`)
	s.Want(sysexits.NoUser, "", "why 0000000000008", "0000000000008 is unknown", "another host's?")
	s.Want(sysexits.NoUser, "", "why 6H2MWP9P00000", "6H2MWP9P00000 is unknown", "empty so far", "grep 6H2MWP9P00000")
	s.Want(sysexits.Usage, "", "why frob", "not a message id")
	s.Want(sysexits.Usage, "", "why", "missing arguments")
	s.Want(sysexits.Usage, "", "why 6H2MWP9P00000 --to x", "without it")
	s.Want(sysexits.Usage, "", "why --to x --since tomorrow", "tomorrow")
	s.Want(sysexits.NoUser, "", "why --to x --since 2d", "no such message")
	var line life.Line
	if err := json.Unmarshal([]byte(s.Want(0, "", "why --json 0000000000001")), &line); err != nil || len(line.Queued) != 2 || len(line.History) != 2 {
		t.Errorf("%v %+v", err, line)
	}
}
