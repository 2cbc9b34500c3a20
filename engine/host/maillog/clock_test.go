package maillog

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Times come out as package time writes them, whatever was asked for before.
func TestClock(t *testing.T) {
	places := []*time.Location{time.UTC, time.Local, time.FixedZone("", -5400), time.FixedZone("x", 5*3600+1800)}
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 12, 31, 23, 59, 58, 0, time.UTC)
	var c clock
	for range 2000 {
		at := begin.Add(time.Duration(random.Int64N(int64(3 * time.Second)))).In(places[random.IntN(len(places))])
		got := string(c.append(nil, at))
		if want := at.Format("2006-01-02T15:04:05.000000-07:00 "); got != want {
			t.Fatalf("%v: got %q, want %q", at, got, want)
		}
	}
	if got := string(new(clock).append(nil, time.Unix(0, 0).UTC())); got != "1970-01-01T00:00:00.000000+00:00 " {
		t.Errorf("the first second of all: %q", got)
	}
}
