package lsm

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// History implements storage.Queue.
func (s *Store) History(id storage.MessageID, f func(storage.Record) bool) error {
	var k [idKeyLen]byte
	from := putIDKey(&k, tagHistory, id)
	end := after(from)
	var found []storage.Record
	for from != nil {
		found = found[:0]
		next, err := s.run(from, end, func(_ pebble.Reader, k, v []byte) error {
			if len(k) != historyKeyLen {
				return fmt.Errorf("%w: key %x of the history", storage.ErrCorrupt, k)
			}
			found = append(found, storage.Record{At: dueTime(binary.BigEndian.Uint64(k[idKeyLen:])), Text: string(v)})
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range found {
			if !f(r) {
				return nil
			}
		}
		from = next
	}
	return nil
}

// ForgetHistory implements storage.Queue. One range tombstone does it, which
// begins where the last one ended: tombstones over tombstones would have to be
// cut into pieces by every reader.
func (s *Store) ForgetHistory(t time.Time) error {
	return s.do(&call{alone: true, stage: func(b *pebble.Batch) error {
		c := &s.committer
		from, to := c.mail.forgotten, firstIDAt(s.stamps.shift(t))
		if to <= from {
			return nil
		}
		c.mail.forgotten = to
		var k, end [idKeyLen]byte
		return b.DeleteRange(putIDKey(&k, tagHistory, from), putIDKey(&end, tagHistory, to), nil)
	}})
}
