package queue

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/storage"
)

func postfixNames(t *testing.T) (*shelltest.Shell, *shelltest.Queue, *shelltest.Relay) {
	t.Helper()
	s, q, r := shelltest.WithQueue(t, PostqueueCommand, PostsuperCommand, PostcatCommand, QshapeCommand, MailqCommand)
	shelltest.Fill(q)
	return s, q, r
}

func TestPostqueue(t *testing.T) {
	s, q, r := postfixNames(t)
	shelltest.Same(t, "-p", s.Want(0, "", "postqueue -p"), s.Want(0, "", "mailq"))
	shelltest.Same(t, "-vp", s.Want(0, "", "postqueue -v -vp"), s.Want(0, "", "mailq"))
	shelltest.Same(t, "-j", s.Want(0, "", "postqueue -j"),
		`{"queue_name": "deferred", "queue_id": "0000000000001", "arrival_time": 1606132805, "message_size": 27, "forced_expire": false, "sender": "Alice@a.example", "recipients": [`+
			`{"address": "bob@x.example", "delay_reason": "connect to mx.x.example[192.0.2.2]:25: Connection timed out"}, `+
			`{"address": "carol@x.example", "delay_reason": "connect to mx.x.example[192.0.2.2]:25: Connection timed out"}, `+
			`{"address": "dave@x.example", "delay_reason": "host mx.x.example[192.0.2.2] said: 452 4.2.2 full"}, `+
			`{"address": "eve@y.example", "delay_reason": "host mx.y.example said: 450 4.7.1 \u001b[31mgreylisted"}]}
{"queue_name": "active", "queue_id": "0000000000002", "arrival_time": 1606564805, "message_size": 3600, "forced_expire": false, "sender": "MAILER-DAEMON", "recipients": [{"address": "bob@x.example"}]}
{"queue_name": "hold", "queue_id": "0000000000003", "arrival_time": 1606651205, "message_size": 3600, "forced_expire": false, "sender": "alice@a.example", "recipients": [{"address": "frank@z.example", "delay_reason": "Host not found, try again"}]}
`)
	shelltest.Same(t, "-f", s.Want(0, "", "postqueue -f"), "")
	shelltest.Same(t, "-s", s.Want(0, "", "postqueue -s X.example."), "")
	shelltest.Same(t, "-i", s.Want(0, "", "postqueue -i 0000000000001"), "")
	if got := r.Takes(); got != "flush ; flush x.example; flush " {
		t.Errorf("the relay was told %q", got)
	}
	if !q.Entries[0].IsDue(time.Now()) || !q.Entries[1].Held {
		t.Errorf("%+v %+v", q.Entries[0], q.Entries[1])
	}
	const usage = "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site"
	s.Want(sysexits.Usage, "", "postqueue", usage)
	s.Want(sysexits.Usage, "", "postqueue -p -j", usage)
	s.Want(sysexits.Usage, "", "postqueue -pf", usage)
	s.Want(sysexits.Usage, "", "postqueue -x", "'x'", "usage: postrider postqueue [-c file]", "postrider queue --help")
	s.Want(sysexits.Usage, "", "postqueue -i frob", "cannot flush queue ID - invalid name", "frob")
	s.Want(sysexits.Usage, "", "postqueue -s bob@x.example", `invalid destination: "bob@x.example"`)
	s.Want(sysexits.NoUser, "", "postqueue -i 0000000000009", "not in the queue")
	s.Want(sysexits.Usage, "", "postqueue -p more", "expected 0 arguments")
	s.Want(0, "", "postsuper -d ALL")
	shelltest.Same(t, "-p of nothing", s.Want(0, "", "postqueue -p"), "Mail queue is empty\n")
	shelltest.Same(t, "-j of nothing", s.Want(0, "", "postqueue -j"), "")
}

// Whatever other hosts and senders write, a line of -j is an object with that text, less
// what commands a terminal.
func FuzzPostfixJSON(f *testing.F) {
	f.Add("bob@x.example", "host said: \"no\\\"\r\n")
	f.Add("b\xff\u202e@x", "\x00\x1b[2J\u2028</script>")
	f.Add("<a&b>@x", "\u202eright to left\u2066")
	f.Fuzz(func(t *testing.T, address, reason string) {
		e := &storage.QueueEntry{Recipients: []storage.QueuedRecipient{{ForwardPath: address}, {ForwardPath: reason}}, Reason: reason, Attempts: 1}
		line := string(postfixJSON([]*storage.QueueEntry{e}, time.Now()))
		var got struct {
			Recipients []map[string]string `json:"recipients"`
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil || len(got.Recipients) != 2 || strings.Count(line, "\n") != 1 {
			t.Fatalf("%v: %q", err, line)
		}
		if _, has := got.Recipients[0]["delay_reason"]; has != (reason != "") {
			t.Errorf("%q", line)
		}
		if shown := client.Printable(line[:len(line)-1]); shown != line[:len(line)-1] {
			t.Fatalf("%q has what commands a terminal", line)
		}
		if utf8.ValidString(reason) && got.Recipients[0]["delay_reason"] != reason {
			t.Errorf("%q came back as %q", reason, got.Recipients[0]["delay_reason"])
		}
	})
}

func TestPostsuper(t *testing.T) {
	s, q, r := postfixNames(t)
	left := func() string {
		var all []string
		for _, e := range q.Entries {
			mark := ""
			if e.Held {
				mark = "!"
			}
			all = append(all, strings.TrimLeft(e.ID.Message.String(), "0")+"-"+fmt.Sprint(e.ID.Part)+mark)
		}
		return strings.Join(all, " ")
	}
	f := func(stdin, line, said, want string) {
		t.Helper()
		shelltest.Same(t, line, s.Want(0, stdin, "postsuper "+line), said)
		if got := left(); got != want {
			t.Errorf("%s: left %q, want %q", line, got, want)
		}
	}
	const all = "1-0 1-1! 2-0 3-0!"
	f("", "", "", all)
	f("", "-s", "", all)
	f("", "-p -s", "", all)
	f("", "-h 0000000000002", "postsuper: 0000000000002: placed on hold\npostsuper: Placed on hold: 1 message\n", "1-0 1-1! 2-0! 3-0!")
	f("", "-h 0000000000002", "postsuper: Placed on hold: 0 messages\n", "1-0 1-1! 2-0! 3-0!")
	f("", "-H 0000000000002 -h 0000000000001 deferred", "postsuper: 0000000000001: placed on hold\npostsuper: Placed on hold: 1 message\npostsuper: Released from hold: 0 messages\n", "1-0! 1-1! 2-0! 3-0!")
	f("", "-H ALL", "postsuper: Released from hold: 3 messages\n", "1-0 1-1 2-0 3-0")
	f("0000000000003!\n0000000000009\n0000000000001\n", "-h -", "postsuper: 0000000000003: placed on hold\npostsuper: 0000000000001: placed on hold\npostsuper: Placed on hold: 2 messages\n", "1-0! 1-1! 2-0 3-0!")
	f("", "-d ALL active", "postsuper: Deleted: 1 message\n", "1-0! 1-1! 3-0!")
	f("", "-d ALL deferred incoming", "postsuper: Deleted: 0 messages\n", "1-0! 1-1! 3-0!")
	f("", "-d 0000000000003 -r 0000000000001", "postsuper: 0000000000003: removed\npostsuper: 0000000000001: requeued\npostsuper: Requeued: 1 message\npostsuper: Deleted: 1 message\n", "1-0 1-1")
	f("", "-d 0000000000007 -d frob", "postsuper: warning: invalid mail queue id: frob\npostsuper: Deleted: 0 messages\n", "1-0 1-1")
	if got := r.Takes(); got != "" {
		t.Errorf("the relay was told %q", got)
	}
	f("", "-h 0000000000001-1", "postsuper: 0000000000001: placed on hold\npostsuper: Placed on hold: 1 message\n", "1-0 1-1!")
	f("", "-e ALL", "postsuper: Force-expired: 1 message\n", "1-1!")
	f("", "-e 0000000000001", "postsuper: Force-expired: 0 messages\n", "1-1!")
	f("", "-f 0000000000001", "postsuper: 0000000000001: expired\npostsuper: 0000000000001: released from hold\npostsuper: Force-expired: 1 message\npostsuper: Released from hold: 1 message\n", "")
	if got := r.Takes(); got != "bounce 1: message is administratively expired; bounce 1: message is administratively expired" {
		t.Errorf("the relay was told %q", got)
	}
	s.Want(sysexits.Usage, "", "postsuper -d ALL nowhere", `"nowhere": not a queue`, "deferred")
	s.Want(sysexits.Usage, "", "postsuper deferred", "-d ALL to delete it")
	s.Want(sysexits.Usage, "", "postsuper -x 1", "'x'", "postrider queue --help")
	s.Want(0, "", "postsuper --help", "-H ID")
	s.Config = ""
	s.Want(sysexits.Usage, "", "postsuper -d", "needs an argument", "usage: postrider postsuper")
}

// Many messages are counted once each, wherever the steps of the store are cut.
func TestPostsuperCountsMessages(t *testing.T) {
	s, q, _ := shelltest.WithQueue(t, PostsuperCommand)
	const n = batch/2 + 1
	for i := range n {
		for part := range 3 {
			q.Put(&storage.QueueEntry{ID: storage.EntryID{Message: storage.MessageID(i + 1), Part: uint32(part)}, Domain: "x.example",
				Arrival: shelltest.Arrival, Recipients: []storage.QueuedRecipient{{ForwardPath: "bob@x.example"}}}, "x\r\n")
		}
	}
	shelltest.Same(t, "-d ALL", s.Want(0, "", "postsuper -d ALL"), fmt.Sprintf("postsuper: Deleted: %d messages\n", n))
	if len(q.Entries) > 0 {
		t.Errorf("%d are left", len(q.Entries))
	}
}

func TestPostcat(t *testing.T) {
	s, _, _ := postfixNames(t)
	const envelope = `message_size: 27
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
`
	const header, body = "Subject: one\n", "\n.dot\nend\n"
	marker := func(text string) string { return "*** " + text + " deferred/0000000000001 ***\n" }
	f := func(options, want string) {
		t.Helper()
		shelltest.Same(t, options, s.Want(0, "", "postcat "+options+" 0000000000001"), want)
	}
	begin, contents, end := marker("ENVELOPE RECORDS")+envelope, marker("MESSAGE CONTENTS"), marker("HEADER EXTRACTED")+marker("MESSAGE FILE END")
	f("-q", begin+contents+header+body+end)
	f("-beh -q", begin+contents+header+body+end)
	f("-eq", begin+contents+end)
	f("-ehq", begin+contents+header+end)
	f("-hq", header)
	f("-bq", body)
	f("-q -b -h", header+body)
	shelltest.Same(t, "two", s.Want(0, "", "postcat -hq 0000000000001 0000000000001-1"), header+header)
	s.Want(sysexits.Usage, "", "postcat 0000000000001", "use -q")
	s.Want(sysexits.Usage, "", "postcat -q", "missing arguments")
	s.Want(sysexits.Usage, "", "postcat -oq 0000000000001", "'o'", "postrider queue show")
	s.Want(sysexits.NoUser, "", "postcat -q 0000000000009", "0000000000009 is not in the queue")
	s.Want(sysexits.Usage, "", "postcat -q frob", "not a message id")
}

// The parts of a message are the same wherever it is cut, and together they are the whole.
func TestTextParts(t *testing.T) {
	f := func(text, header string) {
		t.Helper()
		if !strings.HasPrefix(text, header) {
			t.Fatal("the test is wrong")
		}
		for _, cut := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader} {
			for _, want := range []struct {
				header, body bool
				text         string
			}{{true, false, header}, {false, true, text[len(header):]}, {true, true, text}} {
				var out strings.Builder
				p := textParts{out: &out, header: want.header, body: want.body}
				_, err := io.CopyBuffer(struct{ io.Writer }{&p}, struct{ io.Reader }{cut(strings.NewReader(text))}, make([]byte, 1<<20))
				if err == nil {
					err = p.end()
				}
				if err != nil || out.String() != want.text {
					t.Errorf("%.40q: %.60q, want %.60q: %v", text, out.String(), want.text, err)
				}
			}
		}
	}
	long := strings.Repeat("x", 3*maxFieldName)
	f("", "")
	f("A: b\n\nc\nD: e\n", "A: b\n")
	f("A: b\n c\n\td\nE : f\n\n", "A: b\n c\n\td\nE : f\n")
	f("A: b\nno field\nC: d\n", "A: b\n")
	f("\nA: b\n", "")
	f("A: b", "A: b")
	f("A: b\nc", "A: b\n")
	f(long+"\nA: b\n", "")
	f("A: "+long+"\nB: c\n\nd", "A: "+long+"\nB: c\n")
	f(": x\n", "")
	f("a b: x\n", "")
	f("\u00e4: x\n", "")
}

func TestQshape(t *testing.T) {
	s, q, _ := shelltest.WithQueue(t, QshapeCommand)
	const empty = `                                         T  5 10 20 40 80 160 320 640 1280 1280+
                                  TOTAL  0  0  0  0  0  0   0   0   0    0     0
`
	shelltest.Same(t, "empty", s.Want(0, "", "qshape"), empty)
	now := time.Now()
	for i, age := range []time.Duration{time.Minute, 6 * time.Minute, 30 * time.Minute, 1300 * time.Minute, 1300 * time.Minute, 7 * time.Minute, time.Minute} {
		e := &storage.QueueEntry{ID: storage.EntryID{Message: storage.MessageID(i + 1)}, Domain: "x.example", Arrival: now.Add(-age), Due: shelltest.Never, Attempts: 1, Reason: "timed out",
			Envelope:   storage.Envelope{ReversePath: []string{"", "a@A.example", "b@a.example", "c@b.example", "d@b.example", "e@z.example", "f@y.example"}[i]},
			Recipients: []storage.QueuedRecipient{{ForwardPath: "b@x.example"}, {ForwardPath: "c@x.example"}}}
		switch i {
		case 2:
			e.Domain = "a-name-that-is-much-longer-than-its-own-column.example"
		case 5:
			e.Held, e.Domain = true, "held.example"
		case 6:
			e.Due, e.Domain = now, "due.example"
		}
		q.Put(e, "x\r\n")
	}
	out := s.Want(0, "", "qshape deferred")
	for line := range strings.Lines(out) {
		if len(line) != 81 {
			t.Errorf("%q has %d octets", line, len(line))
		}
	}
	shelltest.Same(t, "deferred", squeeze(out), squeeze(`T 5 10 20 40 80 160 320 640 1280 1280+
TOTAL 10 2 2 0 2 0 0 0 0 0 4
x.example 8 2 2 0 0 0 0 0 0 0 4
+uch-longer-than-its-own-column.example 2 0 0 0 2 0 0 0 0 0 0
`))
	shelltest.Same(t, "senders", squeeze(s.Want(0, "", "qshape -s deferred active hold")), squeeze(`T 5 10 20 40 80 160 320 640 1280 1280+
TOTAL 7 2 2 0 1 0 0 0 0 0 2
a.example 2 0 1 0 1 0 0 0 0 0 0
b.example 2 0 0 0 0 0 0 0 0 0 2
y.example 1 1 0 0 0 0 0 0 0 0 0
z.example 1 0 1 0 0 0 0 0 0 0 0
MAILER-DAEMON 1 1 0 0 0 0 0 0 0 0 0
`))
	shelltest.Same(t, "columns", squeeze(s.Want(0, "", "qshape -b 3 deferred")), squeeze("T 5 10 10+\nTOTAL 10 2 2 6\nx.example 8 2 2 4\na-name-that-is-much-longer-than-its-own-column.example 2 0 0 2\n"))
	shelltest.Same(t, "one column", squeeze(s.Want(0, "", "qshape -b 1 -n 2 deferred")), squeeze("T 0+\nTOTAL 10 10\nx.example 8 8\n"))
	shelltest.Same(t, "the default", squeeze(s.Want(0, "", "qshape incoming active")), squeeze(s.Want(0, "", "qshape")))
	s.Want(0, "", "qshape", "due.example")
	s.Want(0, "", "qshape hold", "held.example")
	shelltest.Same(t, "always empty", s.Want(0, "", "qshape incoming maildrop"), empty)
	s.Want(sysexits.Usage, "", "qshape /var/spool/postfix/deferred", "not a queue: expected active, deferred")
	s.Want(sysexits.Usage, "", "qshape -b 11", "1 to 10")
	s.Want(sysexits.Usage, "", "qshape -p", "'p'", "postrider queue stat --help")
}
