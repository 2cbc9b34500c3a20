package server

import (
	"fmt"
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/storage"
)

// A listing is booked by what it takes: 12 octets a message, and for messages that came with
// unique-ids these and 4 octets each. Without room for it the login waits for another time.
func TestListingsWithUniqueIDsAreBooked(t *testing.T) {
	f := start(t, func(c *config.Config) { c.Limits.Memory = 64 << 20 }, nil)
	a, err := f.store.Lookup("mbrain", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	done := make(chan error, n)
	for i := range n {
		d := f.store.NewDraft(0)
		d.Append([]byte("x\r\n"))
		f.store.Deliver(&storage.Delivery{Draft: d, Size: 3, Recipients: []storage.Recipient{{Account: a.Account, UIDL: fmt.Sprintf("%070d", i)}},
			Done: func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err }})
	}
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	login := func() (*peer, string) {
		p := f.dialPOP3(t)
		p.line()
		p.send("USER mbrain\r\n")
		p.line()
		p.send("PASS secret\r\n")
		return p, p.line()
	}
	p, got := login()
	if !strings.HasPrefix(got, "+OK") {
		t.Fatal(got)
	}
	if used := f.budget.Listings.Used(); used != n*(12+4+70) {
		t.Errorf("%d octets are booked", used)
	}
	p.send("UIDL 300\r\n")
	if got := p.line(); got != fmt.Sprintf("+OK 300 %070d", n-1) {
		t.Error(got)
	}
	p.send("QUIT\r\n")
	p.line()
	room := f.budget.Listings.Max() - n*(12+4+70) + 1
	for !f.budget.Listings.Reserve(room) { // until the session has ended
	}
	defer f.budget.Listings.Release(room)
	if _, got := login(); !strings.HasPrefix(got, "-ERR [SYS/TEMP]") {
		t.Errorf("without room: %s", got)
	}
}
