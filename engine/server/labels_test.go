package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"postrider/codec/smtp"
	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/storage"
)

// figures are the values of a server's metrics by series: `replies_total{kind="2yz",listener="smtp"}`.
// A histogram has the number of its samples.
func (f *fixture) figures(t *testing.T) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	for name, family := range f.gathered(t) {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			series := strings.TrimPrefix(name, "postrider_")
			if labels != nil {
				series += "{" + strings.Join(labels, ",") + "}"
			}
			switch family.GetType() {
			case dto.MetricType_HISTOGRAM:
				all[series] = float64(m.GetHistogram().GetSampleCount())
			case dto.MetricType_COUNTER:
				all[series] = m.GetCounter().GetValue()
			default:
				all[series] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}

// rises checks by how much series have risen.
func rises(t *testing.T, before, after map[string]float64, want map[string]float64) {
	t.Helper()
	for series, n := range want {
		if _, is := after[series]; !is {
			t.Errorf("there is no %s", series)
		} else if got := after[series] - before[series]; got != n {
			t.Errorf("%s rises by %v, want %v", series, got, n)
		}
	}
}

// What sessions say and why they refuse is counted by listener, kind, reason and limit, and
// each refusal once.
func TestRepliesAndRefusalsAreCounted(t *testing.T) {
	var bad *faulty
	f := start(t, func(c *config.Config) {
		withTLS(c)
		c.SMTP.MaxSize, c.SMTP.MaxErrors = 64<<10, 12
		c.Submission.Listen = []string{"127.0.0.1:0"}
	}, func(s storage.Store) storage.Store { bad = &faulty{Store: s}; return bad })
	before := f.figures(t)
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	p.say("NOSUCH", "500 ")
	p.say("DATA", "503 ")
	p.say("MAIL FROM:<a@b.test> SIZE=99999999", "552 ")
	p.say("MAIL FROM:<a@b.test>", "250 ")
	p.say("RCPT TO:<none@localhost>", "550 ")
	p.say("RCPT TO:<x@far.test>", "250 ") // from loopback mail is relayed
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("DATA", "354 ")
	full := error(storage.ErrFull)
	bad.deliver.Store(&full)
	p.say("x\r\n.", "452 ")
	bad.deliver.Store(nil)
	p.say("QUIT", "221 ")
	p.end()
	s := dial(t, f.Addrs("submission")[0].String())
	s.expect("220 ")
	s.say("EHLO c", "250 ")
	s.say("MAIL FROM:<a@b.test>", "530 ")
	q := f.dialPOP3(t)
	q.expect("+OK")
	q.say("USER mbrain", "+OK")
	q.say("PASS wrong", "-ERR [AUTH]")
	q.say("NOSUCH", "-ERR")
	after := f.figures(t)
	rises(t, before, after, map[string]float64{
		`replies_total{kind="2yz",listener="smtp"}`: 6, `replies_total{kind="3yz",listener="smtp"}`: 1, `replies_total{kind="4yz",listener="smtp"}`: 1, `replies_total{kind="5yz",listener="smtp"}`: 4,
		`replies_total{kind="2yz",listener="submission"}`: 2, `replies_total{kind="5yz",listener="submission"}`: 1,
		`replies_total{kind="+OK",listener="pop3"}`: 2, `replies_total{kind="-ERR",listener="pop3"}`: 2,
		`pop3_refusals_total{code="AUTH"}`: 1, `pop3_refusals_total{code="none"}`: 1, `pop3_refusals_total{code="IN-USE"}`: 0,
		`replies_total{kind="2yz",listener="smtps"}`: 0, `replies_total{kind="2yz",listener="web"}`: 0,
		`refusals_by_reason_total{reason="bad_syntax"}`: 1, `refusals_by_reason_total{reason="bad_sequence"}`: 1, `refusals_by_reason_total{reason="message_too_large"}`: 1,
		`refusals_by_reason_total{reason="unknown_recipient"}`: 1, `refusals_by_reason_total{reason="disk_full"}`: 1, `refusals_by_reason_total{reason="auth_required"}`: 1,
		`refusals_by_reason_total{reason="other"}`: 0,
		`refusals_total`: 6, `refusals_temporary_total`: 1,
		`limit_refusals_total{limit="smtp.max_size",scope=""}`: 1, `limit_refusals_total{limit="storage.free_floor",scope=""}`: 1, `limit_refusals_total{limit="smtp.max_hops",scope=""}`: 0,
		`sessions_total{listener="smtp"}`: 1, `sessions_total{listener="submission"}`: 1, `sessions_total{listener="pop3"}`: 1,
		`login_seconds{result="denied"}`: 1, `login_seconds{result="granted"}`: 0,
	})
}

// A session that ends because of smtp.max_errors is counted for that limit, and a client that
// is too slow for the one that it has reached.
func TestEndsOfSessionsAreCounted(t *testing.T) {
	f := start(t, func(c *config.Config) {
		c.SMTP.MaxErrors = 2
		c.SMTP.CommandTimeout, c.SMTP.DataTimeout, c.POP3.IdleTimeout = time.Second, time.Second, time.Second
	}, nil)
	before := f.figures(t)
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("NOSUCH", "500 ")
	p.say("NOSUCH", "500 ")
	p.expect("421 ")
	p = f.dialSMTP(t)
	p.expect("220 ")
	p.expect("421 4.4.2")
	p.end()
	p = f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	p.say("MAIL FROM:<>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.expect("421 4.4.2")
	p.end()
	q := f.dialPOP3(t)
	q.expect("+OK")
	q.end()
	rises(t, before, f.figures(t), map[string]float64{
		`limit_refusals_total{limit="smtp.max_errors",scope=""}`: 1, `refusals_by_reason_total{reason="too_many_errors"}`: 1,
		`limit_refusals_total{limit="smtp.command_timeout",scope=""}`: 1, `limit_refusals_total{limit="smtp.data_timeout",scope=""}`: 1,
		`limit_refusals_total{limit="pop3.idle_timeout",scope=""}`: 1, `timeouts_total`: 3,
		`session_timeouts_total{listener="smtp"}`: 2, `session_timeouts_total{listener="pop3"}`: 1,
	})
}

// The sessions are counted by listener, state and what they wait for, once for all scrapes of
// some seconds; a series that was there stays.
func TestSessionsAreCountedByState(t *testing.T) {
	f := start(t, nil, nil)
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	f.dialSMTP(t).expect("220 ")
	f.login(t, "mbrain")
	f.doing.at = time.Time{}
	before := f.figures(t)
	rises(t, nil, before, map[string]float64{
		`sessions{listener="smtp",state="CONNECT"}`: 1, `sessions{listener="smtp",state="EHLO"}`: 1, `sessions{listener="pop3",state="TRANSACTION"}`: 1,
	})
	p.say("QUIT", "221 ")
	p.end()
	until(t, "the session has ended", func() bool { return f.look(t, conn.Selection{}, 0).Total == 2 })
	rises(t, before, f.figures(t), map[string]float64{`sessions{listener="smtp",state="EHLO"}`: 0})
	f.doing.at = time.Time{}
	rises(t, before, f.figures(t), map[string]float64{`sessions{listener="smtp",state="EHLO"}`: -1, `sessions{listener="smtp",state="CONNECT"}`: 0})
}

// RETR is counted once for each message, small, read ahead or large, and TOP is not.
func TestRetrievesAreCounted(t *testing.T) {
	f := start(t, nil, nil)
	for n := range 5 {
		f.deliver(t, "mbrain@localhost", fmt.Sprintf("Subject: %d\r\n\r\n%s", n, textOf(n, 100)))
	}
	f.deliver(t, "mbrain@localhost", textOf(7, 3<<20))
	before := f.figures(t)
	p := f.login(t, "mbrain")
	for n := range 6 {
		p.say(fmt.Sprintf("RETR %d", n+1), "+OK")
		p.listing()
	}
	p.say("TOP 1 0", "+OK")
	p.listing()
	p.say("QUIT", "+OK")
	rises(t, before, f.figures(t), map[string]float64{"retrieve_seconds": 6, "pop3_retrieved_total": 7})
}

// The outcomes of deliveries are counted by where they go, result and status, and those to
// maildrops are in the histogram of maildrops.
func TestResultsOfDeliveriesAreCounted(t *testing.T) {
	from, to, _ := pair(t, nil)
	before, beforeTo := from.figures(t), to.figures(t)
	from.submit(t, "mbrain@localhost", "bob@b.test", "none@b.test")
	from.drained(t)
	until(t, "the outcomes are counted", func() bool {
		return from.courier.Stats.Sent.Load() == 1 && from.courier.Stats.Bounced.Load() == 1
	})
	rises(t, before, from.figures(t), map[string]float64{
		`delivery_results_total{dsn="2.0",result="sent",to="hosts"}`: 1, `delivery_results_total{dsn="5.1",result="bounced",to="hosts"}`: 1,
		`delivery_results_total{dsn="4.4",result="deferred",to="hosts"}`: 0, `delivery_results_total{dsn="2.0",result="sent",to="maildrops"}`: 0,
		"relay_delay_seconds": 1, "local_delay_seconds": 1, // the notification
	})
	rises(t, beforeTo, to.figures(t), map[string]float64{"local_delay_seconds": 1, "commit_seconds": 1})
}

// submit sends a message, and returns its id.
func (f *fixture) submit(t *testing.T, sender string, recipients ...string) string {
	t.Helper()
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	p.say("MAIL FROM:<"+sender+">", "250 ")
	for _, to := range recipients {
		p.say("RCPT TO:<"+to+">", "250 ")
	}
	p.say("DATA", "354 ")
	id := strings.Fields(p.say("Subject: x\r\n\r\nx\r\n.", "250 2.0.0 "))[2]
	p.say("QUIT", "221 ")
	return id
}

// queued is a queue of made entries, which are shown in the order that they have.
type queued struct {
	storage.Queue
	entries []storage.QueueEntry
	err     error
}

func (q *queued) QueueTotal() (entries, octets int64) { return int64(len(q.entries)), 0 }

func (q *queued) Queued(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error {
	if !filter.AnyOrder {
		return errors.New("BUG: the queue is asked for an order")
	}
	for i := range q.entries {
		if !f(&q.entries[i]) {
			break
		}
	}
	return q.err
}

// The queue is counted by class and age, in runs with a pause after each, and a count that
// failed or was cut off leaves the last one.
func TestQueueIsCountedByClassAndAge(t *testing.T) {
	now, q := time.Now(), new(queued)
	var want [classes][ages]int64
	add := func(n, class, age int, old time.Duration) {
		e := storage.QueueEntry{Arrival: now.Add(-old), Due: now.Add(-time.Second)}
		switch class {
		case 1:
			e.Due, e.Attempts, e.Reason = now.Add(time.Hour), 1, "later"
		case 2:
			e.Due, e.Held = time.Time{}, true
		}
		q.entries = append(q.entries, slices.Repeat([]storage.QueueEntry{e}, n)...)
		want[class][age] += int64(n)
	}
	for class := range classes {
		add(1000+class, class, 0, time.Minute)
		add(100+class, class, 1, 10*time.Minute)
		add(10+class, class, 2, 30*time.Minute)
		add(7, class, 3, 3*time.Hour)
		add(5, class, 4, 23*time.Hour)
		add(3+class, class, 5, 100*time.Hour)
		add(1, class, 0, -time.Hour) // its clock was set back
	}
	pause := 20 * time.Millisecond
	a := &queueAges{queue: q, pause: pause}
	if a.look() != nil {
		t.Fatal("a count before the first one")
	}
	if err := a.count(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := a.look()
	if first.entries != want {
		t.Errorf("%v\nwant %v", first.entries, want)
	}
	if runs := len(q.entries) / countRun; first.took < time.Duration(runs)*pause {
		t.Errorf("%d entries are counted in %v, without pauses", len(q.entries), first.took)
	}
	q.err = errors.New("broken")
	if err := a.count(t.Context()); !errors.Is(err, q.err) || a.look() != first {
		t.Errorf("after an error: %v, %p", err, a.look())
	}
	q.err = nil
	a.pause = time.Hour
	a.every, a.failed = time.Hour, func(err error) { t.Error(err) }
	a.start()() // a count that pauses does not hold up the end
	if a.look() != first {
		t.Error("a count that was cut off counts")
	}
}

// The metric shows each entry once, with the time of the count.
func TestQueueAgesAreShown(t *testing.T) {
	f := start(t, func(c *config.Config) { c.Relay.Retry = []time.Duration{time.Hour} }, nil)
	until(t, "the queue is counted", func() bool { return f.ages.look() != nil })
	f.submit(t, "mbrain@localhost", "x@far.invalid")
	if n, _ := f.store.QueueTotal(); n != 1 {
		t.Fatalf("%d entries in the queue", n)
	}
	if err := f.ages.count(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum, all := 0.0, f.figures(t)
	for series, v := range all {
		if strings.HasPrefix(series, "queue_age_entries{") {
			sum += v
		}
	}
	if sum != 1 || all["queue_counted_timestamp_seconds"] < float64(time.Now().Unix()-600) {
		t.Errorf("%v entries, counted at %v", sum, all["queue_counted_timestamp_seconds"])
	}
}

// Replies of HTTP are counted by the digit of the last status.
func TestRepliesOfHTTPAreCounted(t *testing.T) {
	f := start(t, nil, nil)
	before := f.figures(t)
	h := f.CountReplies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			http.NotFound(w, r)
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusServiceUnavailable)
			w.WriteHeader(http.StatusOK)
		case "/flush":
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
	}))
	for _, path := range []string{"/", "/flush", "/gone", "/early"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	rises(t, before, f.figures(t), map[string]float64{
		`replies_total{kind="2yz",listener="web"}`: 2, `replies_total{kind="4yz",listener="web"}`: 1, `replies_total{kind="5yz",listener="web"}`: 1, `replies_total{kind="3yz",listener="web"}`: 0,
	})
}

// No client makes a series: after all kinds of words there are as many as before.
func TestClientsMakeNoSeries(t *testing.T) {
	f := start(t, func(c *config.Config) { c.Auth.FailureDelay = 0 }, nil)
	until(t, "the queue is counted", func() bool { return f.ages.look() != nil })
	talk := func(n int) {
		p := f.dialSMTP(t)
		p.expect("220 ")
		p.say(fmt.Sprintf("VERB%d", n), "500 ")
		p.say(fmt.Sprintf("EHLO host%d", n), "250 ")
		p.say(fmt.Sprintf("MAIL FROM:<a%d@b%d.test>", n, n), "250 ")
		p.say(fmt.Sprintf("RCPT TO:<x%d@localhost>", n), "550 ")
		p.say("QUIT", "221 ")
		p.end()
		q := f.dialPOP3(t)
		q.expect("+OK")
		q.say(fmt.Sprintf("USER u%d", n), "+OK")
		q.say("PASS x", "-ERR")
		q.say("QUIT", "+OK")
	}
	count := func() int {
		n := 0
		f.doing.at = time.Time{}
		for series := range f.figures(t) {
			if !strings.HasPrefix(series, "sessions") {
				n++
			}
		}
		return n
	}
	talk(0)
	before := count()
	for n := range 20 {
		talk(n + 1)
	}
	if after := count(); after != before {
		t.Errorf("%d series, and %d after 20 clients more", before, after)
	}
}

// Each front has the name of its listener, and each reason that is a limit's is counted for
// one key.
func TestNamesOfLabels(t *testing.T) {
	var names []string
	for _, f := range fronts {
		names = append(names, f.name)
	}
	if len(names) != int(conn.Fronts) {
		t.Errorf("%d fronts, %d names", len(names), conn.Fronts)
	}
	f := start(t, nil, nil)
	known := map[string]bool{"quota": true}
	for _, k := range f.config().Keys() {
		known[k.Name] = true
	}
	seen := make(map[string]bool)
	for _, l := range f.limits.all {
		if !known[l.key] || seen[l.name()] {
			t.Errorf("limit %s is not a key of the configuration, or comes twice", l.name())
		}
		seen[l.name()] = true
	}
	for _, of := range limitsOf {
		if of.why == smtp.ReasonOther || of.why >= smtp.Reasons {
			t.Errorf("%s has no reason", of.key)
		}
	}
}
