package agent

import (
	"strings"
	"testing"
	"time"

	"postrider/storage"
)

// A report that can't be delivered goes to the postmaster, and the log has a hint when the
// postmaster's account has no password.
func TestDoubleBounce(t *testing.T) {
	for hash, hint := range map[string]string{"": "postrider account passwd postmaster@localhost", "x": ""} {
		t.Run("hash="+hash, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil, 0, noRetry, "gone.test. 300 IN A 127.0.0.2")
			if err := b.store.AddDomain("localhost"); err != nil {
				t.Fatal(err)
			}
			id, err := b.store.AddAccount(storage.NewAccount{Name: "postmaster", Domain: "localhost", Hash: hash})
			if err != nil {
				t.Fatal(err)
			}
			startScripted(t, b.at(2), map[string]string{"RCPT": "550 5.1.1 no such user"})
			d := &storage.Delivery{Arrival: time.Now()}
			if !b.address(d, "ann@gone.test", "") {
				t.Fatal("not addressed")
			}
			if err := b.deliver(d, []byte("Subject: report\r\n\r\nx\r\n")); err != nil {
				t.Fatal(err)
			}
			b.empty()
			if n, _, err := b.store.Usage(id); n != 1 || err != nil {
				t.Errorf("the postmaster has %d messages, %v", n, err)
			}
			b.wantLog("mail that can't be delivered or returned goes to the postmaster")
			if hint != "" {
				b.wantLog(hint)
			} else if words := "has no password"; containsLog(b, words) {
				t.Errorf("the log has %q", words)
			}
		})
	}
}

func containsLog(b *bed, words string) bool { return strings.Contains(b.log.String(), words) }
