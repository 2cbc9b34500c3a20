package agent

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/storage"
)

// A trace shows the dialogue with the hosts of its destination and of no other one, before and
// within TLS, without the password and without the text of the message.
func TestDialoguesAreTraced(t *testing.T) {
	passwords := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(passwords, []byte("b.test jsmith:SeCrEtWoRd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBed(t, nil, 0, func(set *Settings) { set.Passwords = passwords }, zone...)
	startMX(t, b.at(2), "", newAuthority(t).issue(time.Time{}, "mx.b.test"))
	var mu sync.Mutex
	var lines []string
	follow := func(to string) Follow {
		return func(destination, host string, id storage.MessageID) func(string) {
			if destination != to && host != to {
				return nil
			}
			return func(line string) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, line)
			}
		}
	}
	stop, other := b.Trace(follow("b.test")), b.Trace(follow("c.test"))
	b.Trace(follow("c.test"))
	b.Trace(follow("c.test"))
	if b.Trace(follow("c.test")) != nil {
		t.Error("a fifth trace begins")
	}
	other()
	b.sendTo(time.Now(), "Subject: x\r\n\r\nthe text\r\n", "bob@b.test")
	b.empty()
	stop()
	mu.Lock()
	text := strings.Join(lines, "\n")
	mu.Unlock()
	wantText(t, text, "=== message for b.test to mx.b.test[127.0.0.2:", "<-  220 ", "\n -> EHLO client.test\n", " -> STARTTLS\n", "=== TLS started: TLSv1.3", " ~> EHLO client.test\n",
		" ~> AUTH PLAIN (not shown)\n<~  235", " ~> MAIL FROM:<", " ~> RCPT TO:<bob@b.test>", "\n<~  250")
	for _, secret := range []string{"SeCrEtWoRd", "AGpzbWl0aABTZUNyRXRXb1Jk", "the text"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown:\n%s", secret, text)
		}
	}
	b.sendTo(time.Now(), "Subject: x\r\n\r\nthe text\r\n", "bob@b.test")
	b.empty()
	mu.Lock()
	defer mu.Unlock()
	if again := strings.Join(lines, "\n"); strings.Count(again, "=== message") != 1 {
		t.Errorf("the trace goes on:\n%s", again)
	}
}
