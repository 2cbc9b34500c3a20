package lsm

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
)

// A stall that lasts counts as long as it has lasted, and a second end counts nothing.
func TestStalls_sum(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	var s stalls
	want := func(at time.Duration, count int64, spent time.Duration) {
		t.Helper()
		if n, took := s.sum(now.Add(at)); n != count || took != spent {
			t.Errorf("after %v: %d in %v, want %d in %v", at, n, took, count, spent)
		}
	}
	want(0, 0, 0)
	s.begin(now)
	want(2*time.Second, 1, 2*time.Second)
	s.end(now.Add(3 * time.Second))
	s.end(now.Add(9 * time.Second))
	want(time.Minute, 1, 3*time.Second)
	s.begin(now.Add(time.Minute))
	want(time.Minute+time.Second, 2, 4*time.Second)
}

// The figures fit what was done: octets in the log, a flush, files by level, and
// reads that the cache had.
func TestMetrics(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	if err := s.AddDomain("v.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddAccount(storage.NewAccount{Name: "a", Domain: "v.example"}); err != nil {
		t.Fatal(err)
	}
	figures := func() map[string]float64 {
		all := make(map[string]float64)
		s.Metrics(func(m storage.Metric) {
			name := m.Name
			if m.Label != "" {
				name += "{" + m.Label + "=" + m.Of + "}"
			}
			if _, twice := all[name]; twice || m.Help == "" {
				t.Errorf("%s is told twice, or has no help", name)
			}
			all[name] = m.Value
		})
		return all
	}
	before := figures()
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	after := figures()
	if before["store_wal_bytes_total"] == 0 {
		t.Error("no octets in the log")
	}
	if after["store_flushes_total"] <= before["store_flushes_total"] {
		t.Errorf("%v flushes before, %v after one", before["store_flushes_total"], after["store_flushes_total"])
	}
	files := 0.0
	for _, level := range "0123456" {
		files += after["store_level_files{level="+string(level)+"}"]
	}
	if files == 0 || files != after["store_table_files"] {
		t.Errorf("%v files by level, %v in all", files, after["store_table_files"])
	}
	if after["store_write_amplification"] <= 0 || after["store_read_amplification"] < 1 {
		t.Errorf("write amplification %v, read amplification %v", after["store_write_amplification"], after["store_read_amplification"])
	}
	for name, v := range after {
		if before[name] > v && len(name) > 6 && name[len(name)-6:] == "_total" {
			t.Errorf("%s falls from %v to %v", name, before[name], v)
		}
	}
}
