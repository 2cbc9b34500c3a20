package agent

import (
	"strings"
	"testing"
	"time"

	"postrider/codec/dsn"
	"postrider/codec/smtp"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// A notification of success returns nothing of an untrusted client's message, whatever RET
// is. A notification of failure returns it, and so does each notification about a message
// of our own users.
func TestSuccessReturnsNothingOfAStranger(t *testing.T) {
	b := newBed(t, nil, 0, noRetry, "gone.test. 300 IN A 127.0.0.2") // where nothing listens
	for _, stranger := range []bool{true, false} {
		d := &storage.Delivery{Arrival: time.Now()}
		if !b.address(d, "ann@gone.test", "joe@client.test") {
			t.Fatal("not addressed")
		}
		d.Relayed[0].Envelope.Stranger = stranger
		d.Relayed[0].Envelope.Ret = smtp.RetFull
		if err := b.deliver(d, []byte("Message-ID: <spam@spam.test>\r\nSubject: PILLS\r\n\r\nspam\r\n")); err != nil {
			t.Fatal(err)
		}
		var e *storage.QueueEntry
		_ = b.store.Queued(storage.QueueFilter{}, func(last *storage.QueueEntry) bool {
			e = last
			return true
		})
		for kind, bare := range map[queue.NoticeKind]bool{queue.Succeeded: stranger, queue.Relayed: stranger, queue.Failed: false, queue.Delayed: false} {
			r, err := b.report(e, &queue.Notice{Kind: kind, Recipients: []queue.NoticeRecipient{{QueuedRecipient: e.Recipients[0]}}}, "joe@client.test", false)
			if err != nil {
				t.Fatal(err)
			}
			text := string(dsn.Append(nil, r))
			if has := strings.Contains(text, "PILLS"); has == bare {
				t.Errorf("stranger %v, kind %v: the header is there: %v", stranger, kind, has)
			}
			if has := strings.Contains(text, "spam"); has == bare {
				t.Errorf("stranger %v, kind %v: something of the message is there: %v\n%s", stranger, kind, has, text)
			}
			if n := strings.Count(text, "Content-Type: "); n != 4 && !bare || n != 3 && bare {
				t.Errorf("stranger %v, kind %v: %d parts\n%s", stranger, kind, n-1, text)
			}
		}
	}
}
