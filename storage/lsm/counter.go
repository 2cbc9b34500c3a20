package lsm

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// counterLen is the length of a C row's value: two signed 64-bit numbers, the
// messages of the maildrop and their octets.
const counterLen = 16

// counter is the value of a C row, and the operand that changes it.
type counter struct{ messages, octets int64 }

func (c counter) put(b []byte) {
	binary.BigEndian.PutUint64(b, uint64(c.messages))
	binary.BigEndian.PutUint64(b[8:], uint64(c.octets))
}

func (c counter) plus(by counter) counter {
	return counter{c.messages + by.messages, c.octets + by.octets}
}

func parseCounter(v []byte) (counter, error) {
	if len(v) != counterLen {
		return counter{}, fmt.Errorf("%w: counter row of %d octets", storage.ErrCorrupt, len(v))
	}
	return counter{
		messages: int64(binary.BigEndian.Uint64(v)),
		octets:   int64(binary.BigEndian.Uint64(v[8:])),
	}, nil
}

// atomicCounter is a counter that others read while it changes.
type atomicCounter struct{ messages, octets atomic.Int64 }

// merger adds up the operands of C rows and of the N row, so that a delivery changes a counter
// without reading it. Its name is on the disk: a store can't be opened with
// another one.
//
// A row with sums of zero stays until its account is removed. Pebble can let it
// go (DeletableValueMerger), but in v2.1.7 that brings an older sum back, or
// panics in the compaction ("skip=true, but iterator is at iterPosNext"), when a
// merge to zero meets a SET below it; TestTheStoreIsAMap found it.
var merger = &pebble.Merger{
	Name: "postrider.v1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		c, err := parseCounter(value)
		return &counterMerger{c}, err
	},
}

type counterMerger struct{ sum counter }

func (m *counterMerger) MergeNewer(value []byte) error { return m.add(value) }
func (m *counterMerger) MergeOlder(value []byte) error { return m.add(value) }

func (m *counterMerger) add(value []byte) error {
	c, err := parseCounter(value)
	m.sum.messages += c.messages
	m.sum.octets += c.octets
	return err
}

func (m *counterMerger) Finish(bool) ([]byte, io.Closer, error) {
	v := make([]byte, counterLen)
	m.sum.put(v)
	return v, nil, nil
}
