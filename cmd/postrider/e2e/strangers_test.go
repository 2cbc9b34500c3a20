package e2e

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/bench/strangers"
)

// strangersMemory is what the process may hold while strangers do everything at once and
// limits.memory is 64 MiB.
const strangersMemory = messageMemory + baseMemory + 128<<20

// Strangers do everything at once that package bench/strangers knows: the server lives, stays within its memory,
// and loses no own mail that it has acknowledged. How long the own mail takes is in the
// log; `bench/run strangers` measures it for minutes under a limit of the kernel.
func TestStrangersAtOnce(t *testing.T) {
	heavy(t)
	hosts, err := strangers.Listen(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.8"), netip.MustParseAddr("127.0.0.9"))
	if err != nil {
		t.Fatal(err)
	}
	defer hosts.Close()
	s := newServer(t, "owner", "victim")
	s.configure(strangers.Config("localhost", hosts, "64MiB"))
	s.args = append(s.args, "--submission", "127.0.0.1:0", "--http", "127.0.0.1:0")
	s.start()
	r := &strangers.Run{SMTP: s.smtp[0], Submission: s.submission[0], POP3: s.pop3[0], HTTP: s.http[0], Domain: "localhost",
		User: "owner", Password: password("owner"), Duration: 20 * time.Second, Hosts: hosts, PID: s.cmd.Process.Pid}
	if os.Getenv("POSTRIDER_FULL") != "" {
		r.Duration = 3 * time.Minute
	}
	report, err := r.Run(t.Context())
	var text strings.Builder
	report.Write(&text)
	t.Log(text.String())
	if err != nil {
		t.Fatal(err)
	}
	if report.Usage.PeakRSS > strangersMemory {
		t.Errorf("the process held %d octets at its peak, over its bound of %d", report.Usage.PeakRSS, strangersMemory)
	}
	if len(report.Lost) > 0 {
		t.Errorf("own mail that was acknowledged is lost: %v", report.Lost)
	}
	for name, own := range report.Own {
		if own.Count == 0 {
			t.Errorf("%s: none went well: %v", name, report.Refused[name])
		}
	}
	for name, made := range report.Attacks {
		if made.Begun == 0 {
			t.Errorf("%s: it was not begun", name)
		}
	}
	hosts.Close() // the server waits for sessions with hosts that are slow, up to its drain time
	s.terminate()
	s.check()
}
