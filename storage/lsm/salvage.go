package lsm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/lsm/files"
)

// Salvage gets all that can be read out of a store that can't be opened, or that has
// damaged files. It reads the files one by one (package files) and writes a new store:
//
//   - each domain, account and alias with a readable row. An account whose row is lost
//     gets its name from its address, without a password; one without either is called
//     lost-NUMBER;
//   - each message of a maildrop and each entry of the queue, with the id, and so the
//     UIDL, that it had, if its whole body is there: lengths and checksums are compared.
//     A body that lost its rows is found by its length and checksum among the values
//     that no row refers to;
//   - each deleted message that is kept, as a deleted one, and each removed account with its
//     mail, as a removed one: they can be undeleted, and their time runs on;
//   - each body without an owner: when rows were lost, it may be mail. It goes into the
//     maildrop of the account lost-and-found. Some of it may have been deleted before. A body
//     that one account has deleted, and whose other owners are lost, goes there, too.
//
// What follows from other rows (counters, owners, indexes, marks) is made again.
// Nothing is changed in the damaged store.

// SalvageOptions say what to salvage.
type SalvageOptions struct {
	// Dir is the data directory of the damaged store.
	Dir string
	// Out is the directory of the new store; "": none is written, and the losses are
	// found out only. It must not be there, or be empty.
	Out string
	// FS is the file system; nil: the machine's.
	FS  vfs.FS
	Log *slog.Logger
	// Report is called for each loss.
	Report func(storage.Fault)
}

// Salvaged counts what was read.
type Salvaged struct {
	Accounts int64 `json:"accounts"`
	Messages int64 `json:"messages"` // in maildrops
	Queued   int64 `json:"queued"`   // entries of the queue
	Deleted  int64 `json:"deleted"`  // deleted messages that are kept
	Removed  int64 `json:"removed"`  // removed accounts
	Octets   int64 `json:"octets"`   // the octets of all bodies
	Lost     int64 `json:"lost"`     // messages and entries whose bodies are not whole
	Found    int64 `json:"found"`    // messages in lost-and-found
	Faults   int64 `json:"faults"`   // calls of Report
}

// salvage is one run of Salvage.
type salvage struct {
	ctx    context.Context
	o      SalvageOptions
	set    *files.Set
	out    *Store // nil: nothing is written
	batch  *pebble.Batch
	result Salvaged

	domains     map[string]bool // true: it has addresses; false: it is an alias of another one
	accounts    map[storage.AccountID]storage.Account
	names       map[[2]string]bool
	doomed      map[storage.AccountID]bool
	removed     map[storage.AccountID]bool
	live        map[inMaildrop]bool         // messages in the new store that have a K row in the old one, too
	kept        counter                     // deleted messages
	onlyDeleted map[storage.MessageID]entry // shared bodies of which only deleted owners were found
	counted     map[storage.AccountID]counter
	written     map[storage.MessageID]bool   // bodies in the new store
	owners      map[storage.MessageID]uint32 // owners of each shared body
	claimed     map[storage.MessageID]bool   // bodies with an owner, whole or not
	loose       map[looseKey][]looseBody     // nil: not looked for yet
	looseAt     map[int]looseChunk           // the same values by their order
	looseOrders []int                        // the keys of looseAt, sorted
	found       storage.AccountID            // the account lost-and-found; 0: not made yet
	queued      counter
	places      map[storage.EntryID]bool
	marks       map[string]uint32 // the first bucket of each destination
	lastID      storage.MessageID
	lastDue     uint64
	buf         []byte
}

// Salvage salvages a store, which must not be open.
func Salvage(ctx context.Context, o SalvageOptions) (_ Salvaged, err error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := Lock(o.FS, o.Dir)
	if err != nil {
		return Salvaged{}, err
	}
	defer lock.Close()
	s := &salvage{
		ctx: ctx, o: o,
		domains: make(map[string]bool), accounts: make(map[storage.AccountID]storage.Account), names: make(map[[2]string]bool),
		doomed: make(map[storage.AccountID]bool), removed: make(map[storage.AccountID]bool), live: make(map[inMaildrop]bool), onlyDeleted: make(map[storage.MessageID]entry), counted: make(map[storage.AccountID]counter),
		written: make(map[storage.MessageID]bool), owners: make(map[storage.MessageID]uint32), claimed: make(map[storage.MessageID]bool),
		places: make(map[storage.EntryID]bool), marks: make(map[string]uint32),
	}
	s.set, err = files.Read(ctx, o.FS, o.Dir, files.Options{Merger: merger.Name, Keep: salvaged, Aside: damagedPrefix, OfMail: ofMail})
	if s.set != nil {
		defer s.set.Close()
	}
	if err != nil {
		return s.result, err
	}
	if _, err := o.FS.Stat(o.FS.PathJoin(o.Dir, RestoreFlag)); err == nil {
		s.lose(0, 0, "a restore into %s was cut off: what it had not copied is not here: restore again", o.Dir)
	}
	for _, l := range s.set.Losses {
		s.lose(0, 0, "file %s: %s", l.File, l.Text)
	}
	for _, c := range cutLogs(o.FS, o.Dir) {
		s.lose(0, 0, "file %s: %s: what was written last is lost", c.name, c)
	}
	for _, path := range damagedLogs(o.FS, o.Dir) {
		s.lose(0, 0, "a start of the server found a damaged log, and acknowledged messages are missing: %s is a copy of it", path)
	}
	if err := s.refuse(); err != nil {
		return s.result, err
	}
	if o.Out != "" {
		if err := s.open(); err != nil {
			return s.result, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
	}
	for _, part := range []func() error{s.directory, s.maildrops, s.queue, s.deleted, s.others, s.orphans, s.derived} {
		if err := part(); err != nil {
			return s.result, err
		}
	}
	return s.result, nil
}

// salvaged reports whether a row is read: all others follow from these.
func salvaged(key []byte) bool {
	if len(key) == 0 {
		return false
	}
	switch key[0] {
	case tagCount, tagUIDL, keyQueueTotal[0], tagDeleted, keyKeptTotal[0], tagSender, tagStatus, tagWake:
		return false
	}
	return true
}

// ofMail reports whether a row is of a message or of an entry of the queue.
func ofMail(key []byte) bool {
	switch key[0] {
	case tagMaildrop, tagKept, tagBody, tagQueue, tagQueued:
		return true
	}
	return false
}

// lose reports a loss.
func (s *salvage) lose(a storage.AccountID, id storage.MessageID, format string, args ...any) {
	s.result.Faults++
	s.o.Report(storage.Fault{Account: a, Message: id, Text: fmt.Sprintf(format, args...)})
}

// refuse is the error for a store of a later program.
func (s *salvage) refuse() error {
	if v := s.number(keyFormat); v > FormatVersion {
		return fmt.Errorf("the store in %s has format %d, but this program knows formats up to %d: run the program that wrote it, or a later one", s.o.Dir, v, FormatVersion)
	}
	return nil
}

// number reads a number under X; 0 if it can't be read.
func (s *salvage) number(key []byte) uint64 {
	r := s.set.Find(key)
	if r == nil {
		return 0
	}
	v, err := s.set.Value(r)
	if err != nil || len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// open makes the new store.
func (s *salvage) open() error {
	if names, err := s.o.FS.List(s.o.Out); err == nil && len(names) > 0 {
		return fmt.Errorf("%w: %s is not empty: name a new directory", storage.ErrExists, s.o.Out)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	o, err := Options{Dir: s.o.Out, FS: s.o.FS, Log: s.o.Log, CacheSize: 16 << 20, BallastSize: -1}.withDefaults()
	if err != nil {
		return err
	}
	out := newStore(o)
	if err := out.makeDir(); err != nil {
		return err
	}
	if err := out.openFiles(); err != nil {
		return err
	}
	s.out = out
	return nil
}

// close closes the new store.
func (s *salvage) close() error {
	err := errors.Join(s.out.closeDB(), s.out.lock.Close())
	s.out.closeFS()
	return err
}

// batchOctets bounds the batches that are written.
const batchOctets = 1 << 20

// put writes a row. The batch is applied from time to time, without a sync.
func (s *salvage) put(key, value []byte) error {
	if s.out == nil {
		return nil
	}
	if s.batch == nil {
		s.batch = s.out.db.NewBatch()
	}
	if err := s.batch.Set(key, value, nil); err != nil {
		return err
	}
	if s.batch.Len() < batchOctets {
		return nil
	}
	return s.apply(pebble.NoSync)
}

func (s *salvage) apply(how *pebble.WriteOptions) error {
	if s.batch == nil {
		return nil
	}
	b := s.batch
	s.batch = nil
	return errors.Join(s.out.db.Apply(b, how), b.Close())
}

// others copies the rows that no other row follows from and that follow from none: the
// history of messages, logins, times of undeletes.
func (s *salvage) others() error {
	const known = "ABDEKMPQRUXYZ"
	for tag := byte('A'); tag <= 'Z'; tag++ {
		if strings.IndexByte(known, tag) >= 0 {
			continue
		}
		rows := s.set.Under(string(tag))
		for i := range rows {
			if err := s.ctx.Err(); err != nil {
				return err
			}
			v, err := s.set.Value(&rows[i])
			if err != nil {
				s.lose(0, 0, "a row %q can't be read", rows[i].Key)
				continue
			}
			if err := s.put([]byte(rows[i].Key), v); err != nil {
				return err
			}
		}
	}
	return nil
}

// derived writes what follows from what was written, and makes the new store one: the
// format comes last.
func (s *salvage) derived() error {
	for id, n := range s.counted {
		var k [accountKeyLen]byte
		var v [counterLen]byte
		n.put(v[:])
		if err := s.put(putAccountKey(&k, tagCount, id), v[:]); err != nil {
			return err
		}
	}
	for id, n := range s.owners {
		var k [idKeyLen]byte
		if err := s.put(putIDKey(&k, tagRefs, id), binary.BigEndian.AppendUint32(nil, n)); err != nil {
			return err
		}
	}
	for domain, bucket := range s.marks {
		if err := s.put(appendWakeKey(nil, bucket, domain), nil); err != nil {
			return err
		}
	}
	last := storage.AccountID(0)
	for id := range s.accounts {
		last = max(last, id)
	}
	for id := range s.removed {
		last = max(last, id)
	}
	for _, n := range []struct {
		key   []byte
		value uint64
	}{
		{keyIDBound, max(s.number(keyIDBound), uint64(s.lastID)+1)},
		{keyStampBound, max(s.number(keyStampBound), s.lastDue+1)},
		{keyNextAccount, max(s.number(keyNextAccount), uint64(last)+1)},
		{keyFormat, FormatVersion},
	} {
		if err := s.put(n.key, binary.BigEndian.AppendUint64(nil, n.value)); err != nil {
			return err
		}
	}
	for _, total := range []struct {
		key []byte
		n   counter
	}{{keyQueueTotal, s.queued}, {keyKeptTotal, s.kept}} {
		var v [counterLen]byte
		total.n.put(v[:])
		if err := s.put(total.key, v[:]); err != nil {
			return err
		}
	}
	if s.out == nil {
		return nil
	}
	return s.apply(pebble.Sync)
}
