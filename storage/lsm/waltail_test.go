package lsm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/lsm/files"
	"postrider/storage/storetest"
)

// lastLog is the name of the newest log in the data directory.
func lastLog(t *testing.T, fs vfs.FS) string {
	t.Helper()
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, n := range names {
		if strings.HasSuffix(n, ".log") && !strings.HasPrefix(n, damagedPrefix) && n > last {
			last = n
		}
	}
	if last == "" {
		t.Fatalf("no log in %v", names)
	}
	return "data/" + last
}

// contents are the octets of a file.
func contents(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	octets, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

// overwrite replaces a file.
func overwrite(t *testing.T, fs vfs.FS, path string, octets []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Clone(octets)); err != nil { // with -race the file system spoils what it was given
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// crashed is a disk on which messages were delivered, one after the other, and the
// process was killed: while it wrote the first log of the store, or a later one.
func crashed(t *testing.T, first bool, messages, octets int) (*vfs.MemFS, storage.AccountID) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	s := openOn(t, fs)
	alice := accountIn(t, s, "alice")
	if !first {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openOn(t, fs)
	}
	for i := range messages {
		if _, err := storetest.Deliver(s, storetest.Body(octets, fmt.Sprint("tail", i)), alice); err != nil {
			t.Fatal(err)
		}
	}
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 2))})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return clone, alice
}

// A bit of the last log flips while no process runs. Every loss by it, except the message
// written last, is reported: Open refuses, or it logs the damage, keeps a copy of the
// log, and check reports it.
func TestAFlippedBitInTheLastLogIsReported(t *testing.T) {
	const messages = 40
	for _, life := range []struct {
		first  bool
		octets int
	}{{false, 100}, {false, 900}, {false, 3000}, {true, 200}, {true, 5000}} {
		octets := life.octets
		disk, alice := crashed(t, life.first, messages, octets)
		path := lastLog(t, disk)
		whole := contents(t, disk, path)
		random := rand.New(rand.NewPCG(uint64(octets), 3))
		silent, told, refused := 0, 0, 0
		for range 60 {
			at := random.IntN(len(whole))
			fs := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 2))})
			bad := bytes.Clone(whole)
			bad[at] ^= 1 << random.IntN(8)
			overwrite(t, fs, path, bad)
			var log bytes.Buffer
			o := testOptions(fs)
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			s, err := Open(o)
			if err != nil {
				refused++
				continue
			}
			n, _, err := s.Usage(alice)
			if err != nil {
				n = 0 // not even the account is left
			}
			faults := 0
			if _, err := s.Check(context.Background(), func(storage.Fault) { faults++ }); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			said := strings.Contains(log.String(), "acknowledged messages are lost")
			switch lost := messages - int(n); {
			case said != (faults > 0):
				t.Errorf("octet %d: logged: %v, faults of check: %d", at, said, faults)
			case said && !bytes.Equal(contents(t, fs, "data/"+damagedPrefix+strings.TrimPrefix(path, "data/")), bad):
				t.Errorf("octet %d: the copy is not the log", at)
			case said:
				told++
			case lost > 1:
				t.Errorf("octet %d of %d: %d messages are lost without a word", at, len(whole), lost)
			default:
				silent++
			}
		}
		t.Logf("messages of %d octets: %d flips told, %d refused, %d without loss or of the message written last", octets, told, refused, silent)
		if told == 0 {
			t.Error("no flip was found by the look at the last log, so nothing was tested")
		}
	}
}

// What a crash leaves is no damage: a log that ends in its midst, zeros after it, and
// a chunk that was written but not synced after a page that was not written.
func TestATornLogIsNoDamage(t *testing.T) {
	for _, first := range []bool{false, true} {
		disk, _ := crashed(t, first, 20, 900)
		whole := contents(t, disk, lastLog(t, disk))
		number := uint32(0)
		if _, err := fmt.Sscanf(lastLog(t, disk), "data/%d.log", &number); err != nil {
			t.Fatal(err)
		}
		inspect := func(octets []byte) logTail {
			t.Helper()
			tail, err := inspectLog(bytes.NewReader(octets), number)
			if err != nil {
				t.Fatal(err)
			}
			return tail
		}
		if tail := inspect(whole); tail.chunks != 0 || tail.damaged() || tail.end != int64(len(whole)) {
			t.Fatalf("a whole log: %+v", tail)
		}
		for n := 0; n < len(whole); n += 5 {
			if tail := inspect(whole[:n]); tail.damaged() || tail.chunks != 0 {
				t.Fatalf("cut at %d: %+v", n, tail)
			}
			if tail := inspect(append(bytes.Clone(whole[:n]), make([]byte, 40_000)...)); tail.damaged() || tail.chunks != 0 {
				t.Fatalf("zeros from %d on: %+v", n, tail)
			}
		}
		ends := chunkEnds(whole, number)
		if len(ends) < 20 {
			t.Fatalf("%d chunks were found", len(ends))
		}
		before := ends[len(ends)-7] // more than a sector
		tear := func(octets []byte) []byte {
			clear(octets[before:ends[len(ends)-2]])
			return octets
		}
		older := tear(unnoted(whole, number))
		if tail := inspect(older); tail.chunks != 1 || tail.end != int64(before) || tail.damaged() != (!first && tail.synced > tail.end) {
			t.Fatalf("zeros before the last chunk: %+v, want an end at %d and one chunk", tail, before)
		}
		tail := inspect(tear(bytes.Clone(whole)))
		if !tail.damaged() || tail.before == 0 || tail.proven <= tail.before {
			t.Fatalf("zeros where octets had been synced: %+v", tail)
		}
		for proven, want := range map[uint64]bool{tail.before - 1: false, tail.before: false, tail.before + 1: true} {
			unsynced := tear(renoted(whole, number, func(n logNote) (logNote, bool) { return logNote{n.number, min(n.proven, proven)}, true }))
			if tail := inspect(unsynced); tail.damaged() != (want || !first && tail.synced > tail.end) {
				t.Fatalf("zeros after group %d, when %d was synced: %+v", tail.before, proven, tail)
			}
		}
	}
}

// chunkEnds are the ends of the chunks of a log.
func chunkEnds(octets []byte, number uint32) (ends []int) {
	for i := 0; i < len(octets); {
		c, ok := files.ChunkAt(octets[i:min(len(octets), (i/files.LogBlock+1)*files.LogBlock)], number)
		if !ok {
			break
		}
		i += c.Size
		ends = append(ends, i)
	}
	return ends
}

// A power cut may lose the last sector of a block and keep the next block: what was synced
// in that sector is there, and zeros follow it, though fewer than a sector has. In the first
// log of a store, whose chunks do not tell what was synced, this is no damage.
func TestALostSectorIsNoDamage(t *testing.T) {
	for octets := 900; ; octets += 37 {
		if octets > 2000 {
			t.Fatal("no chunk began in the last sector of a block: nothing was tested")
		}
		disk, _ := crashed(t, true, 120, octets)
		path := lastLog(t, disk)
		whole := contents(t, disk, path)
		var number uint32
		if _, err := fmt.Sscanf(path, "data/%d.log", &number); err != nil {
			t.Fatal(err)
		}
		whole = unnoted(whole, number)
		for i := 0; i < len(whole); {
			end := min(len(whole), (i/files.LogBlock+1)*files.LogBlock)
			c, ok := files.ChunkAt(whole[i:end], number)
			if !ok {
				i = end
				continue
			}
			if i+c.Size == end && c.Size < sector && end < len(whole) {
				lost := bytes.Clone(whole)
				clear(lost[i:end])
				tail, err := inspectLog(bytes.NewReader(lost), number)
				if err != nil || tail.damaged() || tail.end != int64(i) || tail.chunks == 0 {
					t.Errorf("a lost chunk of %d octets at %d: %+v, %v", c.Size, i, tail, err)
				}
				flipped := bytes.Clone(whole)
				flipped[i+c.Header] ^= 1
				if tail, err := inspectLog(bytes.NewReader(flipped), number); err != nil || !tail.damaged() {
					t.Errorf("a flipped bit in it: %+v, %v", tail, err)
				}
				return
			}
			i += c.Size
		}
	}
}
