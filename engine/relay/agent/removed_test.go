package agent

import (
	"strings"
	"testing"
	"time"

	"postrider/storage"
)

// The log has one "removed" for a message to two destinations: after both are delivered.
func TestRemovedIsTheLastLineOfAMessage(t *testing.T) {
	a := newAuthority(t)
	b := newBed(t, nil, 0, nil, append(zone, "c.test. 300 IN MX 10 mx.c.test.", "mx.c.test. 300 IN A 127.0.0.3")...)
	startMX(t, b.at(2), "", a.issue(time.Time{}, "mx.b.test"))
	startMX(t, b.at(3), "greylist", a.issue(time.Time{}, "mx.c.test"))
	d, other := &storage.Delivery{Arrival: time.Now()}, new(storage.Delivery)
	if !b.address(d, "bob@b.test", "joe@client.test") || !b.address(other, "cam@c.test", "joe@client.test") {
		t.Fatal("they can't be addressed")
	}
	d.Relayed = append(d.Relayed, other.Relayed...)
	if err := b.deliver(d, []byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	b.until("removed", func() bool { return strings.Contains(b.log.String(), ": removed\n") })
	before, after, _ := strings.Cut(b.log.String(), ": removed\n")
	if strings.Count(before, "status=sent") != 2 || strings.Contains(after, "status=") || strings.Contains(after, "removed") {
		t.Errorf("the log has\n%s", b.log)
	}
}
