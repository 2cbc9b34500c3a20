package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A process that replaces one with a failed store waits for its disk: it starts by
// itself once there is room.
func TestReplacementWaitsForTheDisk(t *testing.T) {
	heavy(t)
	for _, free := range []int64{0, 1} {
		t.Run(fmt.Sprintf("%d free", free), func(t *testing.T) { waitForDisk(t, free*4096) })
	}
}

// waitForDisk starts a server on a disk with so many octets free. With a few of them Pebble
// begins to open the store, and can't go on. With more the store opens, and what comes
// after it may fail: then the process ends.
func waitForDisk(t *testing.T, free int64) {
	t.Helper()
	disk := smallDisk(t, 160<<20)
	s := &server{t: t, data: filepath.Join(disk, "data")}
	t.Cleanup(s.kill)
	s.importAccounts([]string{"reader"})
	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
	if size, err := f.Seek(0, io.SeekCurrent); err != nil || f.Truncate(size-free) != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Setenv("POSTRIDER_RESTART_PAUSE", "1")
	go func() {
		time.Sleep(2 * time.Second) // long enough for the first try to fail
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	}()
	s.start() // returns when it is ready
	if !strings.Contains(fmt.Sprint(s.log), "tried again") {
		t.Error("the store was opened on a full disk: the test shows nothing")
	}
	s.check()
	s.terminate()
}
