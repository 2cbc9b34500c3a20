package queue

import (
	"time"

	"postrider/codec/smtp"
	"postrider/storage"
)

// Policy is the schedule of a message.
type Policy struct {
	Retry     []time.Duration // waits between attempts; the last one repeats
	Jitter    int             // percent by which a wait is longer or shorter
	WarnAfter time.Duration   // 0: never
	Lifetime  time.Duration
}

// Wait is the wait before the next attempt after attempts failed ones. random is
// from 0 to 1.
func (p *Policy) Wait(attempts int, random float64) time.Duration {
	w := p.Retry[min(max(attempts-1, 0), len(p.Retry)-1)]
	return w + time.Duration(float64(w)*float64(p.Jitter)/100*(2*random-1))
}

// Verdict is what an attempt did with a recipient.
type Verdict uint8

// The verdicts. The zero Verdict is Temporary: what nothing is known of is tried
// again.
const (
	Temporary Verdict = iota
	Permanent
	Delivered
)

// Result is the outcome of an attempt for one recipient.
type Result struct {
	Verdict Verdict
	Status  string // enhanced status code, "4.4.1"
	Reason  string // for people: "host mx[192.0.2.1] said: 450 ... (in reply to RCPT TO command)"
	// Diagnostic is the peer's own words, for a notification: "450 4.2.1 ..."; "":
	// no peer replied.
	Diagnostic string
	Remote     string // name of the host that replied; or ""
	Peer       string // the host, "mx[192.0.2.1]:25"; "": that of the attempt
	// PeerNotifies: the peer took over the duty to notify of success (RFC 3461
	// section 5.2.1).
	PeerNotifies bool
}

// Attempt is one attempt to deliver an entry.
type Attempt struct {
	At      time.Time
	Began   time.Time // zero for an attempt that was not made
	Handed  time.Time // when the host was ready for the message; zero: it never was
	Uses    int       // messages that the connection has carried, with this one
	Peer    string    // the last host that was reached, "mx[192.0.2.1]:25"; ""
	Results []Result  // one for each of the entry's recipients
	// Final: this was a delivery into a maildrop, not to another host.
	Final bool
	// NotMade: no attempt was made, the time ran out (see Overdue).
	NotMade bool
	// Record is the attempt in words, for the history; "": none.
	Record string
	// Talk is the rest of it, for the history of all messages.
	Talk Talk
}

// Talk is what was said to hosts, and how.
type Talk struct {
	Channel  string   // TLS or clear text of the connection to Attempt.Peer
	Tried    []string // hosts, with what they said, where there is more than one
	Dialogue []string // lines
	LeftOut  int      // lines without room
}

// NoticeKind is the kind of a notice.
type NoticeKind uint8

// The kinds of notices.
const (
	Failed    NoticeKind = iota // returned to the sender
	Delayed                     // still tried
	Relayed                     // handed to a host that does not notify
	Succeeded                   // delivered here
)

// Notice is a notification that is to be sent: about one message, one kind, and
// the recipients at one destination.
type Notice struct {
	Kind       NoticeKind
	Recipients []NoticeRecipient
}

// NoticeRecipient is one recipient of a notice.
type NoticeRecipient struct {
	storage.QueuedRecipient
	Result
}

// Judgement is what follows from an attempt.
type Judgement struct {
	Settlement storage.Settlement
	// Notices go to the reverse-path; the caller decides where notices for a null
	// reverse-path go.
	Notices []Notice
	// Delivered and Gone count recipients: delivered ones, and ones that failed
	// permanently.
	Delivered, Gone int
}

// notify is RFC 3461 section 4.1: the default is failure and delay.
func notify(n, kind smtp.Notify) bool {
	if n == 0 {
		n = smtp.NotifyFailure | smtp.NotifyDelay
	}
	return n&kind != 0
}

// Judge decides what is done with an entry after an attempt. random is from 0 to 1.
// The entry is not changed.
func (p *Policy) Judge(e *storage.QueueEntry, a *Attempt, random float64) Judgement {
	age := a.At.Sub(e.Arrival)
	expired := age >= p.Lifetime
	late := p.WarnAfter > 0 && !e.Warned && age >= p.WarnAfter
	j := Judgement{Settlement: storage.Settlement{
		Entry: e, Warned: e.Warned, Attempts: e.Attempts + 1, LastAttempt: a.At, Peer: a.Peer,
		Record: storage.Record{At: a.At, Text: a.Record},
	}}
	if a.NotMade {
		j.Settlement.Attempts, j.Settlement.LastAttempt = e.Attempts, e.LastAttempt
	}
	var failed, delayed, done []NoticeRecipient
	for i := range e.Recipients {
		r, res := e.Recipients[i], a.Results[i]
		n := NoticeRecipient{r, res}
		switch {
		case res.Verdict == Delivered:
			j.Delivered++
			if r.Notify&smtp.NotifySuccess != 0 && !res.PeerNotifies {
				done = append(done, n)
			}
		case res.Verdict == Permanent || expired:
			j.Gone++
			if notify(r.Notify, smtp.NotifyFailure) {
				failed = append(failed, n)
			}
		default:
			if late && notify(r.Notify, smtp.NotifyDelay) {
				delayed = append(delayed, n)
			}
			r.Status, r.Reason = res.Status, res.Reason
			j.Settlement.Keep = append(j.Settlement.Keep, r)
		}
	}
	relayed := Relayed
	if a.Final {
		relayed = Succeeded
	}
	j.notice(Failed, failed)
	j.notice(Delayed, delayed)
	j.notice(relayed, done)
	if len(j.Settlement.Keep) > 0 {
		j.Settlement.Warned = e.Warned || late
		j.Settlement.Due = e.DueAt()
		if !a.NotMade {
			j.Settlement.Due = p.due(e, a.At, e.Attempts+1, random)
		}
		share(&j.Settlement)
	}
	return j
}

func (j *Judgement) notice(k NoticeKind, rs []NoticeRecipient) {
	if len(rs) > 0 {
		j.Notices = append(j.Notices, Notice{k, rs})
	}
}

// due is when the next attempt is. The last one is made when the lifetime ends.
func (p *Policy) due(e *storage.QueueEntry, now time.Time, attempts int, random float64) time.Time {
	due := now.Add(p.Wait(attempts, random))
	if end := e.Arrival.Add(p.Lifetime); due.After(end) && now.Before(end) {
		return end
	}
	return due
}

// share moves what all recipients have in common to the entry.
func share(s *storage.Settlement) {
	s.Status, s.Reason = s.Keep[0].Status, s.Keep[0].Reason
	for i := range s.Keep {
		if r := &s.Keep[i]; r.Status == s.Status && r.Reason == s.Reason {
			r.Status, r.Reason = "", ""
		}
	}
}

// Postpone is the settlement of an entry that was not tried because its site is
// dead: it is due again at due.
func Postpone(e *storage.QueueEntry, due time.Time, status, reason string) storage.Settlement {
	s := storage.Settlement{
		Entry: e, Keep: append([]storage.QueuedRecipient(nil), e.Recipients...), Due: due,
		Warned: e.Warned, Attempts: e.Attempts, LastAttempt: e.LastAttempt, Peer: e.Peer,
		Status: status, Reason: reason,
	}
	for i := range s.Keep {
		s.Keep[i].Status, s.Keep[i].Reason = "", ""
	}
	return s
}

// Overdue returns what is due for an entry while its site is dead and its
// destination sleeps, so that no attempt informs the sender. nil: nothing. It is an attempt
// that was not made, with what is known for its result; slack is how much longer
// than in the schedule an attempt may be waited for.
func (p *Policy) Overdue(e *storage.QueueEntry, now time.Time, slack time.Duration) *Attempt {
	age := now.Sub(e.Arrival) - slack
	if e.Held || age < p.Lifetime && (p.WarnAfter == 0 || e.Warned || age < p.WarnAfter) {
		return nil
	}
	a := &Attempt{At: now, Peer: e.Peer, NotMade: true}
	for i := range e.Recipients {
		r := &e.Recipients[i]
		res := Result{Verdict: Temporary, Status: e.StatusOf(r), Reason: e.ReasonOf(r)}
		if res.Status == "" {
			res.Status, res.Reason = "4.4.7", "delivery time expired: no attempt could be made"
		}
		a.Results = append(a.Results, res)
	}
	return a
}
