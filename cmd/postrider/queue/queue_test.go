package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/front/admin"
	"postrider/storage"
)

func withQueue(t *testing.T) (*shelltest.Shell, *shelltest.Queue, *shelltest.Relay) {
	t.Helper()
	return shelltest.WithQueue(t, Command, MailqCommand, WhyCommand, RouteCommand)
}

func TestList(t *testing.T) {
	s, q, _ := withQueue(t)
	shelltest.Same(t, "empty", s.Want(0, "", "queue list"), "Mail queue is empty\n")
	shelltest.Same(t, "empty as JSON", s.Want(0, "", "queue list --json"), "")
	shelltest.Fill(q)
	const want = `----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------
0000000000001         27 Mon Nov 23 12:00:05 Alice@a.example
                     (connect to mx.x.example[192.0.2.2]:25: Connection timed out)
                                               bob@x.example
                                               carol@x.example
                               (host mx.x.example[192.0.2.2] said: 452 4.2.2 full)
                                               dave@x.example
                             (host mx.y.example said: 450 4.7.1 ?[31mgreylisted)
                                               eve@y.example

0000000000002*      3600 Sat Nov 28 12:00:05 MAILER-DAEMON
                                               bob@x.example

0000000000003!      3600 Sun Nov 29 12:00:05 alice@a.example
                                                     (Host not found, try again)
                                               frank@z.example

-- 7 Kbytes in 3 Requests.
`
	// The reasons end in the same column, whatever is cut off at the editor.
	got := s.Want(0, "", "queue list")
	shelltest.Same(t, "list", squeeze(got), squeeze(want))
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, " ") && strings.HasSuffix(line, ")\n") && len(line) != 79 {
			t.Errorf("%q is not right-aligned", line)
		}
	}
	shelltest.Same(t, "mailq", s.Want(0, "", "mailq"), got)
	shelltest.Same(t, "by id", squeeze(s.Want(0, "", "queue list 0000000000003!")), squeeze(`----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------
0000000000003!      3600 Sun Nov 29 12:00:05 alice@a.example
                                                     (Host not found, try again)
                                               frank@z.example

-- 3 Kbytes in 1 Request.
`))
}

// squeeze makes one blank of many.
func squeeze(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return b.String()
}

func TestListAsJSON(t *testing.T) {
	s, q, _ := withQueue(t)
	shelltest.Fill(q)
	got := s.Want(0, "", "queue list --json")
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), got)
	}
	shelltest.Same(t, "first", lines[0], `{"queue_name":"deferred","queue_id":"0000000000001","arrival_time":1606132805,"message_size":27,"forced_expire":false,"sender":"Alice@a.example","recipients":[`+
		`{"address":"bob@x.example","delay_reason":"connect to mx.x.example[192.0.2.2]:25: Connection timed out","entry":"0000000000001-0","domain":"x.example","state":"deferred","status":"4.4.1","attempts":3,"due":"2199-01-02T03:04:05Z"},`+
		`{"address":"carol@x.example","delay_reason":"connect to mx.x.example[192.0.2.2]:25: Connection timed out","entry":"0000000000001-0","domain":"x.example","state":"deferred","status":"4.4.1","attempts":3,"due":"2199-01-02T03:04:05Z"},`+
		`{"address":"dave@x.example","delay_reason":"host mx.x.example[192.0.2.2] said: 452 4.2.2 full","entry":"0000000000001-0","domain":"x.example","state":"deferred","status":"4.2.2","attempts":3,"due":"2199-01-02T03:04:05Z"},`+
		`{"address":"eve@y.example","delay_reason":"host mx.y.example said: 450 4.7.1 \u001b[31mgreylisted","entry":"0000000000001-1","domain":"y.example","state":"hold","status":"4.7.1","attempts":1}]}`)
	var line queuedLine
	if err := json.Unmarshal([]byte(lines[1]), &line); err != nil || line.QueueName != "active" || line.Sender != "MAILER-DAEMON" {
		t.Errorf("%v %+v", err, line)
	}
	if err := json.Unmarshal([]byte(lines[2]), &line); err != nil || line.QueueName != "hold" {
		t.Errorf("%v %+v", err, line)
	}
}

// The entries that a selection lets through, by a dry run of requeue.
func TestSelections(t *testing.T) {
	s, q, _ := withQueue(t)
	shelltest.Fill(q)
	f := func(stdin, args, want string) {
		t.Helper()
		out := s.Want(0, stdin, "queue requeue --dry-run "+args)
		var ids []string
		for line := range strings.Lines(out) {
			if id, _, ok := strings.Cut(line, " "); ok && strings.Contains(id, "-") {
				ids = append(ids, strings.TrimLeft(id, "0"))
			}
		}
		if got := strings.Join(ids, " "); got != want || !strings.Contains(out, "nothing was changed") {
			t.Errorf("%s: got %s, want %s:\n%s", args, got, want, out)
		}
	}
	f("", "ALL", "1-0 1-1 2-0 3-0")
	f("", "0000000000001", "1-0 1-1")
	f("", "0000000000001-0", "1-0")
	f("", "0000000000001-1 0000000000003", "1-1 3-0")
	f("0000000000003!\n0000000000001-1 0000000000002*\n", "-", "3-0 1-1 2-0")
	f("", "--to-domain X.example.", "1-0 2-0")
	f("", "--from alice@A.example", "1-0 1-1 3-0")
	f("", "--from <alice@A.example> --to-domain x.example", "1-0")
	f("", "--from <>", "2-0")
	f("", "--error 4.4", "1-0 3-0")
	f("", "--error 4.4.3", "3-0")
	f("", "--error 4", "1-0 3-0 1-1")
	f("", "--held", "1-1 3-0")
	f("", "--held 0000000000001", "1-1")
	f("", "--limit 2", "1-0 1-1")
	f("", "--limit 2 0000000000003 0000000000001 0000000000002", "3-0 1-0")
	age := time.Since(shelltest.Arrival.Add(5*24*time.Hour + 12*time.Hour))
	f("", fmt.Sprintf("--older %s", age), "1-0 1-1 2-0")
	f("", fmt.Sprintf("--younger %s", age), "3-0")
	f("", fmt.Sprintf("--younger %s --older %s", age+24*time.Hour, age), "2-0")

	s.Want(sysexits.Usage, "", "queue requeue", "ALL for the whole queue")
	s.Want(sysexits.Usage, "", "queue requeue xyz", "not a message id", "queue list")
	s.Want(sysexits.Usage, "", "queue requeue 0000000000001-x", "after the hyphen")
	s.Want(sysexits.Usage, "", "queue requeue ALL 0000000000001", "exclude")
	s.Want(sysexits.Usage, "", "queue requeue --error refused", "such as 4.4.1")
	s.Want(sysexits.Usage, "", "queue requeue --older soon", "--older soon", "4h or 5d")
	s.Want(sysexits.Usage, "", "queue requeue --younger -5m", "--younger -5m")
	s.Want(sysexits.Usage, "", "queue requeue --limit -1", "expected 0 or more")
	s.Want(sysexits.Usage, "", "queue requeue --to-domain bob@x.example", "not an address")
	s.Want(sysexits.NoUser, "", "queue requeue --dry-run 0000000000009 0000000000001-7 0000000000002",
		"0000000000009 is not in the queue", "0000000000001-7 is not in the queue", "postrider why 0000000000009", "1 entry, 3600 octets")
}

func TestChanges(t *testing.T) {
	s, q, r := withQueue(t)
	shelltest.Fill(q)
	s.Want(0, "", "queue hold --to-domain x.example", "2 entries held")
	s.Want(0, "", "queue hold ALL", "0 entries held")
	s.Want(0, "", "queue release 0000000000001", "2 entries released")
	s.Want(0, "", "queue release --limit 1 ALL", "1 entry released") // what is not held doesn't count
	s.Want(0, "", "queue requeue ALL", "4 entries requeued")
	s.Want(0, "", "queue list", "0000000000001*", "0000000000003*")
	if got := r.Takes(); got != "" {
		t.Errorf("the relay was told %q", got)
	}
	s.Want(0, "", "queue hold 0000000000003")
	s.Want(0, "", "queue flush", "3 entries made due")
	s.Want(0, "", "queue flush --to-domain Y.example", "1 entry made due")
	if got := r.Takes(); got != "flush ; flush y.example" {
		t.Errorf("the relay was told %q", got)
	}
	s.Want(0, "", "queue bounce 0000000000001-1 --reason over", "1 entry returned")
	if got := r.Takes(); got != "bounce 1: over" {
		t.Errorf("the relay was told %q", got)
	}
	s.Want(0, "", "queue delete --dry-run ALL", "3 entries", "would be deleted")
	s.Want(0, "", "queue delete 0000000000001", "1 entry deleted")
	s.Want(sysexits.NoUser, "", "queue delete 0000000000001 0000000000002", "0000000000001 is not in the queue", "1 entry deleted")
	s.Want(0, "", "queue delete ALL", "1 entry deleted")
	s.Want(0, "", "queue list", "Mail queue is empty")
}

// A change of many entries goes in steps, and all of them are changed.
func TestChangesAreNotBounded(t *testing.T) {
	s, q, r := withQueue(t)
	const n = 2*batch + 5
	for i := range n {
		q.Put(&storage.QueueEntry{ID: storage.EntryID{Message: storage.MessageID(i + 1)}, Domain: "x.example", Arrival: shelltest.Arrival,
			Recipients: []storage.QueuedRecipient{{ForwardPath: "bob@x.example"}}}, "x\r\n")
	}
	out := s.Want(0, "", "queue bounce --dry-run ALL", fmt.Sprintf("and %d more", n-sample), fmt.Sprintf("%d entries", n))
	if lines := strings.Count(out, "\n"); lines != sample+2 {
		t.Errorf("%d lines", lines)
	}
	s.Want(0, "", "queue bounce ALL", fmt.Sprintf("%d entries returned", n))
	if got := strings.Count(r.Takes(), "bounce"); got != 3 || len(q.Entries) != 0 {
		t.Errorf("%d steps, %d left", got, len(q.Entries))
	}
}

// A command that needs a running server fails with a hint when none runs.
func TestWithoutAServer(t *testing.T) {
	_, q, _ := withQueue(t)
	shelltest.Fill(q)
	ws := alone(q)
	run := func(c change) (string, error) {
		cmd := c.command()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetContext(context.Background())
		err := carryOut(ws, cmd, c, &selection.Selection{Whole: true, Skip: c.skip})
		return out.String(), err
	}
	_, err := run(bounceChange())
	if workspace.ExitCode(err) != sysexits.Unavailable || !strings.Contains(err.Error(), "postrider serve") || len(q.Entries) != 4 {
		t.Errorf("%v, %d entries", err, len(q.Entries))
	}
	if out, err := run(flushChange()); err != nil || !strings.Contains(out, "2 entries made due") || !strings.Contains(out, "no server runs") {
		t.Error(out, err)
	}
}

func TestShow(t *testing.T) {
	s, q, _ := withQueue(t)
	shelltest.Fill(q)
	shelltest.Same(t, "show", s.Want(0, "", "queue show 0000000000001"), `entry:        0000000000001-0
destination:  x.example
state:        deferred
sender:       <Alice@a.example>
origin:       client unknown[192.0.2.1] helo=<h> by ESMTP
arrival:      2020-11-23 12:00:05 +0000
size:         27
envid:        QQ314
ret:          HDRS
body:         8BITMIME
attempts:     3
last attempt: 2020-11-23 13:00:05 +0000
peer:         mx.x.example[192.0.2.2]:25
status:       4.4.1
reason:       connect to mx.x.example[192.0.2.2]:25: Connection timed out
due:          2199-01-02 03:04:05 +0000
recipient:    <bob@x.example> orcpt=rfc822;bob@y.example notify=FAILURE,DELAY
recipient:    <carol@x.example>
recipient:    <dave@x.example>: 4.2.2 host mx.x.example[192.0.2.2] said: 452 4.2.2 full

entry:        0000000000001-1
destination:  y.example
state:        hold
sender:       <Alice@a.example>
arrival:      2020-11-23 12:00:05 +0000
size:         27
attempts:     1
status:       4.7.1
reason:       host mx.y.example said: 450 4.7.1 ?[31mgreylisted
due:          never: it is held ("postrider queue release")
recipient:    <eve@y.example>
`)
	var line entry.Line
	if err := json.Unmarshal([]byte(s.Want(0, "", "queue show --json 0000000000001-0")), &line); err != nil || line.Ret != "HDRS" || len(line.Recipients) != 3 || line.Recipients[2].Status != "4.2.2" || !line.Due.Equal(shelltest.Never) {
		t.Errorf("%v %+v", err, line)
	}
	s.Want(sysexits.NoUser, "", "queue show 0000000000008", "not in the queue")
	s.Want(sysexits.Usage, "", "queue show", "missing")
}

func TestCat(t *testing.T) {
	s, q, _ := withQueue(t)
	shelltest.Fill(q)
	shelltest.Same(t, "cat", s.Want(0, "", "queue cat 0000000000001"), `*** ENVELOPE RECORDS 0000000000001 ***
message_size: 27
message_arrival_time: Mon Nov 23 12:00:05 2020
named_attribute: envelope_id=QQ314
named_attribute: ret=HDRS
named_attribute: body=8BITMIME
named_attribute: origin=client unknown[192.0.2.1] helo=<h> by ESMTP
sender: Alice@a.example
original_recipient: rfc822;bob@y.example
recipient: bob@x.example
recipient: carol@x.example
recipient: dave@x.example
recipient: eve@y.example
*** MESSAGE CONTENTS 0000000000001 ***
Subject: one

.dot
end
*** MESSAGE FILE END 0000000000001 ***
`)
	shelltest.Same(t, "raw", s.Want(0, "", "queue cat --raw 0000000000001-1"), "Subject: one\r\n\r\n.dot\r\nend\r\n")
	s.Want(sysexits.NoUser, "", "queue cat 0000000000001-5", "not in the queue")
	s.Want(sysexits.Usage, "", "queue cat ALL", "not a message id")
}

func TestStat(t *testing.T) {
	s, q, _ := withQueue(t)
	now := time.Now()
	for i, age := range []time.Duration{time.Minute, 6 * time.Minute, 30 * time.Minute, 1300 * time.Minute, 1300 * time.Minute} {
		domain := "x.example"
		if i == 2 {
			domain = "a-name-that-is-longer-than-its-column.example"
		}
		q.Put(&storage.QueueEntry{ID: storage.EntryID{Message: storage.MessageID(i + 1)}, Domain: domain, Arrival: now.Add(-age), Due: shelltest.Never, Attempts: i, Status: "4.4.1", Reason: "timed out",
			Envelope:   storage.Envelope{ReversePath: []string{"", "a@A.example", "b@a.example", "c@b.example", "d@b.example"}[i]},
			Recipients: []storage.QueuedRecipient{{ForwardPath: "b@x.example"}, {ForwardPath: "c@x.example", Status: "4.2.2", Reason: "full"}}}, "x\r\n")
	}
	head := `5 entries, 15 octets in the queue
counted: 0 active, 5 deferred, 0 held
relay: 3 sessions, 2 destinations awake, 1 dead
  dead.example: until 2026-11-23 13:00:00: no route?[2J

`
	shelltest.Same(t, "stat", s.Want(0, "", "queue stat"), head+
		`                                T  5 10 20 40 80 160 320 640 1280 1280+
                         TOTAL 10  2  2  0  2  0   0   0   0    0     4
                     x.example  8  2  2  0  0  0   0   0   0    0     4
+onger-than-its-column.example  2  0  0  0  2  0   0   0   0    0     0
`)
	shelltest.Same(t, "by sender", s.Want(0, "", "queue stat --by sender --top 2"), head+
		`                                T  5 10 20 40 80 160 320 640 1280 1280+
                         TOTAL  5  1  1  0  1  0   0   0   0    0     2
                     a.example  2  0  1  0  1  0   0   0   0    0     0
                     b.example  2  0  0  0  0  0   0   0   0    0     2
`)
	shelltest.Same(t, "errors", s.Want(0, "", "queue stat --errors"), head+
		"       5  4.2.2     full\n       5  4.4.1     timed out\n")
	var got struct {
		Entries int
		States  map[string]int
		Total   admin.CensusRow
		Rows    []admin.CensusRow
	}
	if err := json.Unmarshal([]byte(s.Want(0, "", "queue stat --json --older 1d")), &got); err != nil || got.Entries != 5 || got.Total.Total != 0 || got.Rows == nil {
		t.Errorf("%v %+v", err, got)
	}
	if err := json.Unmarshal([]byte(s.Want(0, "", "queue stat --json --older 21h")), &got); err != nil || got.Total.Total != 4 || got.Rows[0].Ages[9] != 4 {
		t.Errorf("%v %+v", err, got)
	}
	s.Want(sysexits.Usage, "", "queue stat --by size", "domain or sender")
}

// alone is a workspace at a queue in memory that no server has open.
func alone(q *shelltest.Queue) *workspace.Workspace {
	return workspace.New(q, config.Default())
}
