package smtpclient

import (
	"strconv"
	"testing"
)

// BenchmarkMessage measures what the machine adds to a message with two recipients;
// the octets counted are the commands.
func BenchmarkMessage(b *testing.B) {
	c := newScript(b)
	c.out = 0
	c.message()
	b.SetBytes(int64(c.out))
	b.ReportAllocs()
	for b.Loop() {
		if !c.message() {
			b.Fatal("the message was not delivered")
		}
	}
}

// BenchmarkQueuedAs is the same with a reply that names the message, as most do.
func BenchmarkQueuedAs(b *testing.B) {
	c := newScript(b)
	line := []byte("250 2.0.0 Ok: queued as 100000000\r\n")
	saved := endTurn
	defer func() { endTurn = saved }()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		strconv.AppendInt(line[24:24], int64(100000000+i%800000000), 10)
		endTurn = line
		if !c.message() {
			b.Fatal("the message was not delivered")
		}
	}
}
