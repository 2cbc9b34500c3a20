package files

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// chunk makes a chunk of a log in the form that has the synced octets.
func chunk(kind byte, number uint32, synced uint64, payload string) []byte {
	b := make([]byte, LogHeader, LogHeader+len(payload))
	binary.LittleEndian.PutUint16(b[4:], uint16(len(payload)))
	b[6] = kind
	binary.LittleEndian.PutUint32(b[7:], number)
	binary.LittleEndian.PutUint64(b[11:], synced)
	b = append(b, payload...)
	binary.LittleEndian.PutUint32(b, MaskedCRC(b[6:]))
	return b
}

// One damaged octet anywhere in a log costs the record that it is in, and what is left of
// the log is read.
func TestADamagedOctetCostsOneRecordOfALog(t *testing.T) {
	var log []byte
	for _, c := range []struct {
		kind    byte
		payload string
	}{{9, "one"}, {10, "tw"}, {11, "o "}, {12, "parts"}, {9, "three"}, {9, "four"}} {
		log = append(log, chunk(c.kind, 7, uint64(len(log)), c.payload)...)
	}
	if found, before, lost, _ := records(log, 7); len(found) != 4 || before != 4 || len(lost) != 0 || string(found[1]) != "two parts" {
		t.Fatalf("%q, %d, %v", found, before, lost)
	}
	if found, _, _, _ := records(log, 8); len(found) != 0 {
		t.Errorf("records of another log: %q", found)
	}
	for i := range log {
		bad := bytes.Clone(log)
		bad[i] ^= 0x10
		found, before, lost, _ := records(bad, 7)
		last := i >= len(log)-LogHeader-len("four")
		if len(found) != 3 || len(lost) != 1 && !last || before > 3 {
			t.Errorf("octet %d: %q, %d before, %v", i, found, before, lost)
		}
	}
}

// A block is found by its checksum, and none is found where an octet is damaged.
func TestBlocksAreFoundByTheirChecksums(t *testing.T) {
	block := append(bytes.Repeat([]byte("block of rows"), 50), 0)
	block = binary.LittleEndian.AppendUint32(block, MaskedCRC(block))
	want := len(block) - 5
	if n := lengthOf(append(bytes.Clone(block), "the next one"...)); n != want {
		t.Errorf("found %d octets of %d", n, want)
	}
	for i := range block {
		bad := bytes.Clone(block)
		bad[i] ^= 0x20
		if n := lengthOf(bad); n == want {
			t.Errorf("octet %d is damaged, and the block is found", i)
		}
		if _, err := unpack(bad); err == nil {
			t.Errorf("octet %d is damaged, and the block is read", i)
		}
	}
}

// Whatever is on the disk: nothing panics, and what is read of a log is covered by its
// checksums.
func FuzzDamagedFiles(f *testing.F) {
	f.Add([]byte{}, uint32(0))
	f.Add(append(chunk(9, 7, 0, "one"), chunk(9, 7, 20, "two")...), uint32(7))
	f.Add(append(chunk(10, 7, 0, "o"), chunk(12, 7, 20, "ne")...), uint32(7))
	f.Add([]byte{103, 0, 12, 1, 1, 'a', 1, 'b', 1, 1, 69, 1, 2, 3, 4, 5, 6, 1}, uint32(1))
	f.Fuzz(func(t *testing.T, b []byte, number uint32) {
		found, before, _, _ := records(b, number)
		octets := 0
		for _, r := range found {
			octets += len(r)
		}
		if before > len(found) || octets > len(b) {
			t.Errorf("%d records, %d before, %d octets of %d", len(found), before, octets, len(b))
		}
		v := version{tables: make(map[uint64][]uint64), blobs: make(map[uint64]uint64)}
		_ = v.read(bytes.NewReader(b))
		_, _ = unpack(b)
		if n := lengthOf(b); n >= len(b) {
			t.Errorf("a block of %d octets in %d", n, len(b))
		}
		_, _ = decodeReference(b)
	})
}
