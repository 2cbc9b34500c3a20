package e2e

import (
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/bench"
)

// The disk fails: from one moment on every fdatasync of the server ends in EIO.
// What was acknowledged is kept, what comes then gets no 250, and when the disk
// works again the server takes mail again by itself: it has replaced its process.
// strace makes the system call fail, so nothing in the server knows of the test.
func TestFailedSync(t *testing.T) {
	heavy(t)
	if _, err := exec.LookPath("strace"); err != nil {
		missing(t, "strace is needed: %v", err)
	}
	s := newServer(t, "reader")
	// The process that follows has to be found again: a port of our choice.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s.args = append(s.args, "--smtp", addr)
	s.start()

	books := newLedger()
	for n := range 20 {
		if code := send(addr, n); code != 250 {
			t.Fatalf("message %d gets %d", n, code)
		}
		books.acknowledged[n] = true
	}
	strace := exec.Command("strace", "-f", "-q", "-p", strconv.Itoa(s.cmd.Process.Pid),
		"-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-o", "/dev/null")
	if err := strace.Start(); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n, begin := 100, time.Now(); refused == 0; n++ {
		switch code := send(addr, n); {
		case code == 250: // strace is not in place yet
			books.acknowledged[n] = true
		case code == 451:
			refused++
		}
		if time.Since(begin) > patience {
			t.Fatalf("no 451 while every sync fails\n%s", s.log)
		}
	}
	if err := strace.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = strace.Wait()
	for n, begin := 1000, time.Now(); ; n++ {
		if send(addr, n) == 250 {
			books.acknowledged[n] = true
			break
		}
		if time.Since(begin) > patience {
			t.Fatalf("still no 250 after the disk works again\n%s", s.log)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.Contains(s.log.String(), "the store failed: restarting") {
		t.Error("the process was not replaced: the test shows something else")
	}
	s.kill()
	s.start()
	books.collect(t, s, []string{"reader"})
	books.settle(t)
	s.check()
	s.terminate()
}

// send delivers message n and returns the last reply's code; 0 when there is no
// server, or it hangs up.
func send(addr string, n int) int {
	c, err := bench.DialSMTP(addr)
	if err != nil {
		return 0
	}
	defer c.Close()
	reply, err := c.Deliver("sender@client.example", []string{"reader@localhost"}, bench.Noise(n, 4<<10))
	if err != nil {
		return 0
	}
	return reply.Code
}
