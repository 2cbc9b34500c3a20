package queue

import (
	"slices"
	"testing"
	"time"

	"postrider/codec/smtp"
	"postrider/storage"
)

// RFC 3461 section 4.1: where NOTIFY is not said, failures and delays are told of; NEVER
// means never.
func TestRFC3461_4_1_notify(t *testing.T) {
	p := Policy{Retry: []time.Duration{time.Minute}, WarnAfter: time.Hour, Lifetime: 24 * time.Hour}
	f := func(n smtp.Notify, want ...NoticeKind) {
		t.Helper()
		var got []NoticeKind
		for _, verdict := range []Verdict{Permanent, Temporary, Delivered} {
			e := &storage.QueueEntry{Arrival: time.Unix(0, 0), Recipients: []storage.QueuedRecipient{{ForwardPath: "a@b.example", Notify: n}}}
			a := &Attempt{At: e.Arrival.Add(2 * time.Hour), Results: []Result{{Verdict: verdict}}}
			for _, notice := range p.Judge(e, a, 0).Notices {
				got = append(got, notice.Kind)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%b: got %v, want %v", n, got, want)
		}
	}
	f(0, Failed, Delayed)
	f(smtp.NotifyNever)
	f(smtp.NotifyFailure, Failed)
	f(smtp.NotifyDelay, Delayed)
	f(smtp.NotifySuccess, Relayed)
	f(smtp.NotifySuccess|smtp.NotifyFailure, Failed, Relayed)
	f(smtp.NotifySuccess|smtp.NotifyFailure|smtp.NotifyDelay, Failed, Delayed, Relayed)
}
