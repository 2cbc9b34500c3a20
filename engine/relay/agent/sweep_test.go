package agent

import (
	"net"
	"strings"
	"testing"
	"time"

	"postrider/engine/relay/queue"
	"postrider/storage"
)

// The sweep warns of what sleeps, once. An entry that is being tried is left to its attempt,
// and looked at by the next sweep.
func TestTheSweepLeavesWhatIsBeingTried(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, func(set *Settings) { noRetry(set); set.Policy.WarnAfter = time.Hour }, zone...)
	l, err := net.Listen("tcp", b.at(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	id := b.submit("bob@b.test")
	c, err := l.Accept() // the attempt waits for the greeting
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	entry := func() *storage.QueueEntry {
		t.Helper()
		e, err := b.store.QueuedEntry(id)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	old := entry()
	sweep := func() *storage.QueueEntry {
		return b.sweepRange(storage.QueueFilter{Message: id.Message, Unwarned: true}, time.Now().Add(2*time.Hour), time.Minute)
	}
	if left := sweep(); left == nil || left.ID != id || entry().Warned {
		t.Fatalf("%+v left, %+v", left, entry())
	}
	c.Close()
	b.until("the attempt has failed", func() bool { return entry().Attempts == 1 })
	b.until("the sweep leaves nothing", func() bool { return sweep() == nil })
	warned := entry()
	if !warned.Warned || warned.Attempts != 1 {
		t.Fatalf("%+v", warned)
	}
	// What was read before that is not settled again.
	if !b.settleOverdue(old, time.Now().Add(2*time.Hour), time.Minute) || !entry().Due.Equal(warned.Due) {
		t.Errorf("%+v, %+v before", entry(), warned)
	}
	if n := strings.Count(b.log.String(), noticeWords[queue.Delayed]); n != 1 {
		t.Errorf("%d warnings", n)
	}
}
