package lsm

import (
	"time"

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

// Metrics implements storage.Metered.
func (s *Store) Metrics(each func(storage.Metric)) {
	m := s.db.Metrics()
	count := func(name, help string, v float64) {
		each(storage.Metric{Name: name, Help: help, Rises: true, Value: v})
	}
	state := func(name, help string, v float64) { each(storage.Metric{Name: name, Help: help, Value: v}) }

	var written, tables uint64
	for i := range m.Levels {
		l := &m.Levels[i]
		written += l.TableBytesFlushed + l.TableBytesCompacted + l.BlobBytesFlushed + l.BlobBytesCompacted
		tables += uint64(l.TablesCount)
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
}
