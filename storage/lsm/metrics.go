package lsm

import (
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

var _ storage.Metered = (*Store)(nil)

// OnSync implements storage.Metered.
func (s *Store) OnSync(f func(time.Duration)) { s.synced.Store(&f) }

// tellSync reports how long the sync of a group took.
func (s *Store) tellSync(g *group) {
	if f := s.synced.Load(); f != nil {
		(*f)(time.Since(g.at))
	}
}

// stalls counts the times that Pebble has held writes back, and for how long.
type stalls struct {
	mu    sync.Mutex
	count int64
	spent time.Duration // without the one that lasts
	since time.Time     // zero: none lasts
}

func (s *stalls) begin(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	s.since = now
}

func (s *stalls) end(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.since.IsZero() {
		s.spent += now.Sub(s.since)
		s.since = time.Time{}
	}
}

// sum is how many there were, and how long all of them have lasted.
func (s *stalls) sum(now time.Time) (count int64, spent time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spent = s.spent
	if !s.since.IsZero() {
		spent += now.Sub(s.since)
	}
	return s.count, spent
}

// Metrics implements storage.Metered.
func (s *Store) Metrics(each func(storage.Metric)) {
	m := s.db.Metrics()
	count := func(name, help string, v float64) {
		each(storage.Metric{Name: name, Help: help, Rises: true, Value: v})
	}
	state := func(name, help string, v float64) { each(storage.Metric{Name: name, Help: help, Value: v}) }

	var written, tables, read uint64
	for i := range m.Levels {
		l := &m.Levels[i]
		written += l.TableBytesFlushed + l.TableBytesCompacted + l.BlobBytesFlushed + l.BlobBytesCompacted
		tables += uint64(l.TablesCount)
		read += l.TableBytesRead
	}
	k := s.Kept()
	state("store_deleted_messages", "Deleted messages that can be undeleted.", float64(k.Deleted.Messages))
	state("store_deleted_bytes", "Octets of deleted messages that can be undeleted.", float64(k.Deleted.Octets))
	state("store_removed_accounts", "Removed accounts that can be undeleted.", float64(k.Accounts))
	state("store_removed_bytes", "Octets in the maildrops of removed accounts that can be undeleted.", float64(k.Removed.Octets))
	state("store_disk_bytes", "Octets of the store's files.", float64(m.DiskSpaceUsage()))
	state("store_table_files", "Files with rows.", float64(tables))
	state("store_blob_files", "Files with bodies.", float64(m.BlobFiles.LiveCount))
	state("store_blob_bytes", "Octets of the files with bodies.", float64(m.BlobFiles.LiveSize))
	state("store_level0_sublevels", "Sorted runs that wait for a compaction; many mean that compactions are late.", float64(m.Levels[0].Sublevels))
	state("store_compaction_debt_bytes", "Octets that compactions have yet to write.", float64(m.Compact.EstimatedDebt))
	count("store_compactions_total", "Compactions.", float64(m.Compact.Count))
	count("store_compactions_failed_total", "Compactions that failed.", float64(m.Compact.FailedCount))
	count("store_flushes_total", "Memtables that were written to files.", float64(m.Flush.Count))
	count("store_written_bytes_total", "Octets written by flushes and compactions.", float64(written))
	count("store_wal_bytes_total", "Octets that changes brought to the log.", float64(m.WAL.BytesIn))
	count("store_wal_written_bytes_total", "Octets written to the log.", float64(m.WAL.BytesWritten))
	state("store_memtable_bytes", "Octets of memtables.", float64(m.MemTable.Size))
	state("store_memtables", "Memtables.", float64(m.MemTable.Count))
	state("store_cache_bytes", "Octets in the block cache, of storage.cache.", float64(m.BlockCache.Size))
	count("store_cache_hits_total", "Blocks that were found in the cache.", float64(m.BlockCache.Hits))
	count("store_cache_misses_total", "Blocks that were read from files.", float64(m.BlockCache.Misses))
	s.compactionMetrics(m, read, written, count, state)
	stalled, spent := s.stalls.sum(time.Now())
	count("store_stalls_total", "Times that writes waited because memtables or compactions were late.", float64(stalled))
	count("store_stall_seconds_total", "Time that writes waited for that.", spent.Seconds())
	count("store_disk_slow_total", "Operations of the disk that took longer than 5 seconds.", float64(s.slow.Load()))
	for i := range m.Levels {
		l, level := &m.Levels[i], strconv.Itoa(i)
		each(storage.Metric{Name: "store_level_files", Help: "Files with rows, by level: those of level 0 wait for a compaction.", Value: float64(l.TablesCount), Label: "level", Of: level})
		each(storage.Metric{Name: "store_level_bytes", Help: "Octets of those files.", Value: float64(l.TablesSize), Label: "level", Of: level})
	}
}

// compactionMetrics are the figures of compactions, reads and caches.
func (s *Store) compactionMetrics(m *pebble.Metrics, read, written uint64, count, state func(name, help string, v float64)) {
	state("store_compactions_open", "Compactions that are under way.", float64(m.Compact.NumInProgress))
	count("store_compactions_cancelled_total", "Compactions that were given up because another change made them void.", float64(m.Compact.CancelledCount))
	count("store_compaction_seconds_total", "Time that compactions took.", m.Compact.Duration.Seconds())
	count("store_compaction_read_bytes_total", "Octets read by compactions.", float64(read))
	state("store_read_amplification", "Files or runs of files that a read has to look into at most.", float64(m.ReadAmp()))
	amplification := 0.0
	if m.WAL.BytesIn > 0 {
		amplification = float64(m.WAL.BytesWritten+written) / float64(m.WAL.BytesIn)
	}
	state("store_write_amplification", "Octets written to the disk for each octet of a change, since the start.", amplification)
	ratio := 0.0
	if n := m.BlockCache.Hits + m.BlockCache.Misses; n > 0 {
		ratio = float64(m.BlockCache.Hits) / float64(n)
	}
	state("store_cache_hit_ratio", "Share of the blocks that were found in the cache, since the start.", ratio)
	count("store_filter_hits_total", "Reads of a file that its filter has made needless.", float64(m.Filter.Hits))
	count("store_filter_misses_total", "Reads of a file that its filter allowed.", float64(m.Filter.Misses))
	state("store_wal_files", "Files of the log.", float64(m.WAL.Files))
	state("store_wal_bytes", "Octets in the log that are not in files with rows.", float64(m.WAL.Size))
	state("store_open_files", "Files with rows and bodies that are open for reads.", float64(m.FileCache.TableCount+m.FileCache.BlobFileCount))
	state("store_obsolete_bytes", "Octets of files that nothing refers to any more, and that are about to be deleted or in use by a read.",
		float64(m.Table.ObsoleteSize+m.Table.ZombieSize+m.BlobFiles.ObsoleteSize+m.BlobFiles.ZombieSize))
	state("store_snapshots", "Snapshots that are open for reads.", float64(m.Snapshots.Count))
	count("store_missized_deletions_total", "Deletions whose size was not that of the row.", float64(m.Keys.MissizedTombstonesCount))
}
