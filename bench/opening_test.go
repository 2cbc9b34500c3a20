package bench

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// maildropOf answers as a maildrop of three messages, with so many lines in listings.
func maildropOf(t *testing.T, lines int) string {
	f := &fake{}
	return f.listen(t, func(r *bufio.Reader, w net.Conn) {
		fmt.Fprint(w, "+OK fake\r\n")
		for {
			line, err := r.ReadString('\n')
			switch {
			case err != nil:
				return
			case line == "STAT\r\n":
				fmt.Fprint(w, "+OK 3 120\r\n")
			case line == "LIST\r\n" || line == "UIDL\r\n":
				fmt.Fprintf(w, "+OK\r\n%s.\r\n", strings.Repeat("1 40\r\n", lines))
			default:
				fmt.Fprint(w, "+OK\r\n")
			}
		}
	})
}

// TestOpen: the times of a maildrop add up, and a listing that is too short is an error.
func TestOpen(t *testing.T) {
	client := Client{Addr: maildropOf(t, 3), User: "reader", Password: "secret"}
	o, err := client.Open(time.Minute, true)
	if err != nil {
		t.Fatal(err)
	}
	if o.Messages != 3 || o.First <= 0 || o.Pass < o.First || o.Stat < o.Pass || o.List <= 0 || o.UIDL <= 0 {
		t.Errorf("got %+v", o)
	}
	client.Addr = maildropOf(t, 2)
	if _, err := client.Open(time.Minute, true); err == nil || !strings.Contains(err.Error(), "LIST has 2 lines, STAT said 3 messages") {
		t.Errorf("got %v", err)
	}
}

// TestIntervals: pieces hold what came between two cuts, and nothing twice.
func TestIntervals(t *testing.T) {
	m := NewMeter()
	cuts := NewIntervals(m)
	f := func(want string) {
		t.Helper()
		r := cuts.Cut()
		s := r.Stages["message"]
		got := fmt.Sprintf("%d messages, %d octets, %d refused, %d times up to %s", r.Messages, r.Octets, r.Refused["refused"], s.Count, s.P99.Round(time.Millisecond))
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	m.Count(10, time.Millisecond)
	m.Count(20, 5*time.Millisecond)
	m.Refuse("451 not now")
	f("2 messages, 30 octets, 1 refused, 2 times up to 5ms")
	m.Count(7, 2*time.Millisecond)
	f("1 messages, 7 octets, 0 refused, 1 times up to 2ms")
	f("0 messages, 0 octets, 0 refused, 0 times up to 0s")
	m.Refuse("451 not now")
	m.Refuse("452 nor now")
	f("0 messages, 0 octets, 2 refused, 0 times")
}
