// Package e2e holds the built program to its word from outside: the mail clients
// that people use send and fetch real mail and the octets are compared; the
// process is killed under load; its disk runs full; thousands of sessions idle;
// clients blast and stall. Other hosts, which its relay finds by a DNS server of the
// tests, take mail, refuse it, hang and die. It has no code but tests.
//
// The program is built once, or taken from POSTRIDER_BIN. With CI=true a client
// that isn't installed is a failure, else its test is skipped and says so. The
// heavy tests are left out by -short.
//
// Environment:
//
//	POSTRIDER_BIN           the program to test, in place of building it
//	POSTRIDER_CORPUS        folder of unpacked packages with sample mail (.ci/corpus makes it)
//	POSTRIDER_COURIER       folder of unpacked packages with Courier's POP3 server (.ci/run makes it)
//	POSTRIDER_CRASH_ROUNDS  rounds of TestKillDashNine; 30 unless set
//	POSTRIDER_PARCELS       messages of TestMailRoundTrip; 60 unless set
//	POSTRIDER_PICTURES      folder for pictures of the web client's pages; none unless set
//	POSTRIDER_FULL          anything: TestImportKeepsTheOrder has 10,000 messages, 600 unless set;
//	                        TestStrangersAtOnce is of 3 minutes, 20 s unless set
//	POSTRIDER_RELAY_MESSAGES  messages of TestRelayKillDashNine; 20,000 unless set
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the path of the program under test.
var binary string

func TestMain(m *testing.M) {
	binary = os.Getenv("POSTRIDER_BIN")
	if binary != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "postrider-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "postrider")
	build := exec.Command("go", "build", "-o", binary, "postrider/cmd/postrider")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the program under test:", err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// inCI: everything has to be there and nothing may be skipped.
func inCI() bool { return os.Getenv("CI") == "true" }

// need skips the test when a program isn't installed, and fails it in CI.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	missing(t, "%s isn't installed (.ci/run installs what is needed)", program)
}

// missing skips the test, and fails it in CI.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if inCI() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// heavy leaves a test out of short runs.
func heavy(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("heavy; left out by -short")
	}
}
