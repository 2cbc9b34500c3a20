package lsm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/batchrepr"

	"postrider/storage/lsm/files"
)

// chunkPlace is where a chunk is in a log.
type chunkPlace struct {
	files.Chunk
	at int
}

// chunksOf are the chunks of a whole log.
func chunksOf(octets []byte, number uint32) (all []chunkPlace) {
	for i := 0; i < len(octets); {
		end := min(len(octets), (i/files.LogBlock+1)*files.LogBlock)
		c, ok := files.ChunkAt(octets[i:end], number)
		if !ok {
			i = end // no chunk fits in before it
			continue
		}
		all = append(all, chunkPlace{c, i})
		i += c.Size
	}
	return all
}

// renoted is a log with other notes; not ok: no note.
func renoted(octets []byte, number uint32, note func(n logNote) (_ logNote, ok bool)) []byte {
	octets = bytes.Clone(octets)
	for _, c := range chunksOf(octets, number) {
		payload := octets[c.at+c.Header : c.at+c.Size]
		n, ok := parseLogNote(payload)
		if !ok || !c.First() {
			continue
		}
		at := payload[logNoteEnd-logNoteLen:]
		n, ok = note(n)
		copy(at, appendLogNote(nil, n))
		if !ok {
			at[0]++ // the tag
		}
		binary.LittleEndian.PutUint32(octets[c.at:], files.MaskedCRC(octets[c.at+6:c.at+c.Size]))
	}
	return octets
}

// unnoted is a log as older programs wrote it.
func unnoted(octets []byte, number uint32) []byte {
	return renoted(octets, number, func(n logNote) (logNote, bool) { return n, false })
}

// A bit flips in each chunk of a log in turn, in its header and in its payload: it is
// reported unless the chunk came after the last but one group, that is, unless only the
// message written last is lost. Pebble's own count of synced octets falls short.
func TestALogNoteKnowsTheLastSync(t *testing.T) {
	for _, life := range []struct {
		first            bool
		messages, octets int
	}{{false, 40, 100}, {false, 40, 3000}, {false, 20, 40_000}, {false, 12, 150_000}, {true, 40, 200}, {true, 12, 150_000}} {
		disk, _ := crashed(t, life.first, life.messages, life.octets)
		path := lastLog(t, disk)
		whole := contents(t, disk, path)
		var number uint32
		if _, err := fmt.Sscanf(path, "data/%d.log", &number); err != nil {
			t.Fatal(err)
		}
		chunks := chunksOf(whole, number)
		var notes noteReader
		var ends []int // where the records with notes end
		for _, c := range chunks {
			if n, ok, last := notes.chunk(c.First(), c.Last(), whole[c.at+c.Header:c.at+c.Size]); ok && last {
				ends = append(ends, c.at+c.Size)
				if n.proven+1 != n.number && n.proven != 0 {
					t.Errorf("group %d knows that %d was synced", n.number, n.proven)
				}
			}
		}
		if len(ends) < life.messages {
			t.Fatalf("%d groups of %d messages", len(ends), life.messages)
		}
		synced := ends[len(ends)-2] // the last group proves it
		random := rand.New(rand.NewPCG(uint64(life.octets), 7))
		told, short := 0, 0
		for _, c := range chunks {
			for _, at := range []int{c.at + 4 + random.IntN(3), c.at + random.IntN(c.Size)} {
				bad := bytes.Clone(whole)
				bad[at] ^= 1 << random.IntN(8)
				tail, err := inspectLog(bytes.NewReader(bad), number)
				if err != nil {
					t.Fatal(err)
				}
				if want := c.at < synced; tail.damaged() != want && (want || !tail.silent) {
					t.Errorf("%d octets: octet %d of %d in a chunk at %d; synced up to %d: told %v: %+v", life.octets, at, len(whole), c.at, synced, !want, tail)
				}
				if tail.damaged() {
					told++
				}
				if c.at < synced && tail.synced <= tail.end && !tail.silent {
					short++
				}
			}
		}
		t.Logf("first %v, %d messages of %d octets: %d chunks, %d flips told; %d times Pebble's count falls short", life.first, life.messages, life.octets, len(chunks), told, short)
	}
}

// A note is not taken from the octets of a message: it is the first change of a batch.
func TestAMessageForgesNoNote(t *testing.T) {
	forged := append([]byte{3, logNoteLen}, appendLogNote(nil, logNote{7, 6})...)
	record := append(make([]byte, batchrepr.HeaderLen), forged...)
	if n, ok := parseLogNote(record); !ok || n != (logNote{7, 6}) {
		t.Errorf("%+v, %v", n, ok)
	}
	for at := range len(record) {
		if n, ok := parseLogNote(record[:at]); ok {
			t.Errorf("%d octets: %+v", at, n)
		}
		if n, ok := parseLogNote(append(make([]byte, at+1), record...)); ok && at >= 0 {
			t.Errorf("%d octets later: %+v", at+1, n)
		}
	}
	var r noteReader
	if _, ok, _ := r.chunk(false, true, record); ok {
		t.Error("the end of a record is taken for a beginning")
	}
	for cut := range len(record) { // a record in two chunks
		n, early, _ := r.chunk(true, false, record[:cut])
		m, ok, whole := r.chunk(false, true, record[cut:])
		if early || !ok || !whole || m != (logNote{7, 6}) {
			t.Errorf("cut at %d: %+v %v, %+v %v %v", cut, n, early, m, ok, whole)
		}
	}
}
