package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"postrider/bench"
)

// TestServe_Profiles: the profiles of a run are there when it has ended, and that of
// allocations has the places where mail was taken in.
func TestServe_Profiles(t *testing.T) {
	s := newServer(t, "reader")
	cpu, allocs := filepath.Join(t.TempDir(), "cpu"), filepath.Join(t.TempDir(), "allocs")
	s.args = append(s.args, "--profile", cpu, "--profile-allocs", allocs)
	s.start()
	for n := range 20 {
		s.send("reader", bench.Message(n, 20_000))
	}
	s.terminate()
	f := func(file, want string) {
		t.Helper()
		packed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatalf("%s is no profile: %v", file, err)
		}
		profile, err := io.ReadAll(unpacked)
		if err != nil || !bytes.Contains(profile, []byte(want)) {
			t.Errorf("%s: %d octets (%v), without %q", file, len(profile), err, want)
		}
	}
	f(cpu, "cpu")
	f(allocs, "postrider/engine/protocol/smtpd")
}
