package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"postrider/storage"
	"postrider/storage/lsm/files"
)

// looseKey is what a body is known by when its rows are lost.
type looseKey struct {
	wire int64
	crc  uint32
}

// looseBody is a body whose chunks no row refers to.
type looseBody struct {
	chunks []files.Loose
	packed bool
	taken  bool
}

// looseChunk is a chunk that no row refers to.
type looseChunk struct {
	files.Loose
	wire int
}

// inMaildrop is a message in the maildrop of an account.
type inMaildrop struct {
	account storage.AccountID
	id      storage.MessageID
}

var errLost = errors.New("can't be read")

// maildrops writes the messages of the maildrops.
func (s *salvage) maildrops() error {
	rows := s.set.Under(string(tagMaildrop))
	for i := range rows {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		key := []byte(rows[i].Key)
		if len(key) != maildropKeyLen {
			continue
		}
		account, id := accountOfKey(key), idOfMaildropKey(key)
		s.lastID = max(s.lastID, id)
		v, err := s.set.Value(&rows[i])
		var e entry
		if err == nil {
			v = slices.Clone(v)
			err = e.parse(v)
		}
		if err != nil {
			s.lose(account, id, "the message's row can't be read")
			continue
		}
		s.claimed[id] = true
		if there, err := s.owned(account); err != nil || !there {
			if err != nil {
				return err
			}
			continue
		}
		if err := s.body(id, &e); errors.Is(err, errLost) {
			s.result.Lost++
			s.lose(account, id, "the message is lost: %v", err)
			continue
		} else if err != nil {
			return err
		}
		if err := s.put(key, v); err != nil {
			return err
		}
		var k [keptKeyLen]byte
		if s.set.Find(putKeptKey(&k, account, id)) != nil {
			s.live[inMaildrop{account, id}] = true
		}
		if len(e.uidl) > 0 {
			if err := s.put(uidlKey(account, string(e.uidl)), binary.BigEndian.AppendUint64(nil, uint64(id))); err != nil {
				return err
			}
		}
		n := s.counted[account]
		s.counted[account] = counter{n.messages + 1, n.octets + e.octets()}
		s.result.Messages++
	}
	return nil
}

// body writes the body of an entry, if it is whole; else the error is errLost.
func (s *salvage) body(id storage.MessageID, e *entry) error {
	if s.written[id] {
		if e.shared() {
			s.owners[id]++
		}
		return nil
	}
	chunk, err := s.chunksOf(id, e)
	if err != nil {
		return err
	}
	for i := range e.chunks {
		v, err := chunk(i)
		if err != nil {
			return fmt.Errorf("%w: %w", storage.ErrTemporary, err) // it could be read a moment ago
		}
		var k [bodyKeyLen]byte
		if err := s.put(putBodyKey(&k, id, i), v); err != nil {
			return err
		}
	}
	s.written[id] = true
	s.result.Octets += e.wire
	if e.shared() {
		s.owners[id]++
	}
	return nil
}

// chunksOf finds the chunks of a body by their keys, or by the checksum of all.
func (s *salvage) chunksOf(id storage.MessageID, e *entry) (func(i uint32) ([]byte, error), error) {
	byKey := func(i uint32) ([]byte, error) {
		var k [bodyKeyLen]byte
		r := s.set.Find(putBodyKey(&k, id, i))
		if r == nil {
			return nil, fmt.Errorf("%w: chunk %d of %d is missing", errLost, i, e.chunks)
		}
		v, err := s.set.Value(r)
		if err != nil {
			return nil, fmt.Errorf("%w: chunk %d of %d", errLost, i, e.chunks)
		}
		return v, nil
	}
	err := s.verify(e, byKey)
	if err == nil {
		return byKey, nil
	}
	s.findLoose()
	if mixed := s.mixed(id, e, byKey); mixed != nil {
		return mixed, nil
	}
	bodies := s.loose[looseKey{e.wire, e.crc}]
	for i := range bodies {
		b := &bodies[i]
		chunk := func(i uint32) ([]byte, error) { return b.chunks[i].Get() }
		if b.taken || len(b.chunks) != int(e.chunks) || b.packed && !e.packed() || s.verify(e, chunk) != nil {
			continue
		}
		b.taken = true
		return chunk, nil
	}
	if chunk := s.inTwo(e); chunk != nil {
		return chunk, nil
	}
	return nil, err
}

// mixed finds the chunks of a body of which some have lost their rows: they were written
// next to the others. nil: that does not make it whole.
func (s *salvage) mixed(id storage.MessageID, e *entry, byKey func(uint32) ([]byte, error)) func(uint32) ([]byte, error) {
	first, known := 0, false // the order of chunk 0
	var k [bodyKeyLen]byte
	for i := uint32(0); i < e.chunks && !known; i++ {
		if r := s.set.Find(putBodyKey(&k, id, i)); r != nil {
			first, known = s.set.Order(r)
			first -= int(i)
		}
	}
	at := func(order int) func(i uint32) ([]byte, error) {
		return func(i uint32) ([]byte, error) {
			if v, err := byKey(i); err == nil {
				return v, nil
			}
			c, ok := s.looseAt[order+int(i)]
			if !ok {
				return nil, errLost
			}
			return c.Get()
		}
	}
	if known && s.verify(e, at(first)) == nil {
		return at(first)
	}
	for _, order := range s.apart(id, e) {
		if s.verify(e, at(order)) == nil {
			return at(order)
		}
	}
	return nil
}

// maxWindows bounds the places that chunks are looked for at.
const maxWindows = 100

// windows are the places of values, one next to another, that may be the chunks from one
// number on, below another: each has the order of the first value.
func (s *salvage) windows(e *entry, from, to uint32) (orders []int) {
	for _, order := range s.looseOrders {
		fits := true
		for i := from; i < to && fits; i++ {
			c, ok := s.looseAt[order+int(i-from)]
			fits = ok && int64(c.wire) == min(e.wire-int64(i)*chunkLen, chunkLen)
		}
		if !fits {
			continue
		}
		if orders = append(orders, order); len(orders) == maxWindows {
			break
		}
	}
	return orders
}

// apart finds where chunks may be that lost their rows, when the others are elsewhere: in
// a log, or in another file. It gives the orders that chunk 0 would have.
func (s *salvage) apart(id storage.MessageID, e *entry) (orders []int) {
	first, n := uint32(0), uint32(0) // the missing chunks
	var k [bodyKeyLen]byte
	for i := range e.chunks {
		if s.set.Find(putBodyKey(&k, id, i)) != nil {
			continue
		}
		if n == 0 {
			first = i
		}
		n++
	}
	if n == 0 || n == e.chunks {
		return nil
	}
	for _, order := range s.windows(e, first, first+n) {
		orders = append(orders, order-int(first))
	}
	return orders
}

// inTwo finds a body that lost all of its rows, and whose chunks are in two files.
func (s *salvage) inTwo(e *entry) func(i uint32) ([]byte, error) {
	tries := 0
	for split := uint32(1); split < e.chunks; split++ {
		ends := s.windows(e, split, e.chunks)
		if len(ends) == 0 {
			continue
		}
		for _, begin := range s.windows(e, 0, split) {
			for _, end := range ends {
				chunk := func(i uint32) ([]byte, error) {
					order := begin + int(i)
					if i >= split {
						order = end + int(i-split)
					}
					return s.looseAt[order].Get()
				}
				if tries++; tries > maxWindows {
					return nil
				}
				if s.verify(e, chunk) == nil {
					return chunk
				}
			}
		}
	}
	return nil
}

// verify reads a body and compares its lengths and checksums.
func (s *salvage) verify(e *entry, chunk func(i uint32) ([]byte, error)) error {
	left, crc := e.wire, uint32(0)
	if int64(e.chunks) != (e.wire+chunkLen-1)/chunkLen {
		return fmt.Errorf("%w: its row does not fit", errLost)
	}
	for i := range e.chunks {
		v, err := chunk(i)
		if err != nil {
			return err
		}
		piece, err := s.unpack(v)
		if err != nil {
			return fmt.Errorf("%w: chunk %d of %d: %w", errLost, i, e.chunks, err)
		}
		if int64(len(piece)) != min(left, chunkLen) {
			return fmt.Errorf("%w: chunk %d of %d has a wrong length", errLost, i, e.chunks)
		}
		left -= int64(len(piece))
		crc = crc32.Update(crc, castagnoli, piece)
	}
	if crc != e.crc {
		return fmt.Errorf("%w: the body is not the one that was stored", errLost)
	}
	return nil
}

// unpack is openChunk with room of the salvage's own.
func (s *salvage) unpack(v []byte) ([]byte, error) {
	if s.buf == nil {
		s.buf = make([]byte, chunkLen)
	}
	return openChunk(v, s.buf)
}

// findLoose gathers the bodies among the values that no row refers to: full chunks and
// the one after them that is not full. Chunks of one body were written one after another;
// what is left where another file goes on is a part of a body.
func (s *salvage) findLoose() {
	if s.loose != nil {
		return
	}
	s.loose, s.looseAt = make(map[looseKey][]looseBody), make(map[int]looseChunk)
	if !s.set.RowsLost {
		return
	}
	var open looseBody
	var key looseKey
	end := func() {
		if len(open.chunks) > 0 {
			s.loose[key] = append(s.loose[key], open)
		}
		open, key = looseBody{}, looseKey{}
	}
	s.set.EachLoose(func(at files.Loose, v []byte) {
		piece, err := s.unpack(v)
		if err != nil {
			end()
			return
		}
		s.looseAt[at.Order] = looseChunk{at, len(piece)}
		if n := len(open.chunks); n > 0 && open.chunks[n-1].Order+1 != at.Order {
			end()
		}
		open.chunks = append(open.chunks, at)
		open.packed = open.packed || codec(v[0]) != raw
		key = looseKey{key.wire + int64(len(piece)), crc32.Update(key.crc, castagnoli, piece)}
		if len(piece) < chunkLen {
			end()
		}
	})
	end()
	s.looseOrders = slices.Sorted(maps.Keys(s.looseAt))
}

// orphans puts the bodies that have no owner into lost-and-found, when rows were lost:
// they may have been mail.
func (s *salvage) orphans() error {
	if !s.set.RowsLost {
		return nil
	}
	if err := errors.Join(s.lostOwners(), s.keyedOrphans()); err != nil {
		return err
	}
	s.findLoose()
	id := max(s.lastID, storage.MessageID(s.number(keyIDBound)))
	for key, bodies := range s.loose {
		for i := range bodies {
			b := &bodies[i]
			if b.taken {
				continue
			}
			if err := s.ctx.Err(); err != nil {
				return err
			}
			id++
			e := entry{wire: key.wire, size: key.wire, crc: key.crc, chunks: uint32(len(b.chunks))} //nolint:gosec // chunks of a body
			if b.packed {
				e.flags = entryPacked
			}
			chunk := func(i uint32) ([]byte, error) { return b.chunks[i].Get() }
			if err := s.orphan(id, e, chunk); err != nil {
				return err
			}
		}
	}
	if s.result.Found > 0 {
		s.lose(s.found, 0, "%d bodies of messages lost their rows, and with them their recipients: they are in this account; some of them may have been deleted before", s.result.Found)
	}
	return nil
}

// keyedOrphans finds the bodies whose chunks have keys, and that have no owner. What is
// a draft is not mail.
func (s *salvage) keyedOrphans() error {
	rows := s.set.Under(string(tagBody))
	for len(rows) > 0 {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		key := []byte(rows[0].Key)
		n := 1
		for n < len(rows) && rows[n].Key[:idKeyLen] == rows[0].Key[:idKeyLen] {
			n++
		}
		chunks := rows[:n]
		rows = rows[n:]
		if len(key) != bodyKeyLen {
			continue
		}
		id := idOfKey(key)
		s.lastID = max(s.lastID, id)
		var k [idKeyLen]byte
		if s.claimed[id] || s.set.Find(putIDKey(&k, tagDraft, id)) != nil || binary.BigEndian.Uint32([]byte(chunks[n-1].Key[idKeyLen:])) != uint32(n-1) { //nolint:gosec // chunks of a body
			continue
		}
		if err := s.keyedOrphan(id, chunks); err != nil {
			return err
		}
	}
	return nil
}

// keyedOrphan writes one body whose chunks have keys, if they are whole.
func (s *salvage) keyedOrphan(id storage.MessageID, rows []files.Row) error {
	e := entry{chunks: uint32(len(rows))} //nolint:gosec // chunks of a body
	chunk := func(i uint32) ([]byte, error) { return s.set.Value(&rows[i]) }
	for i := range rows {
		v, err := chunk(uint32(i)) //nolint:gosec // as above
		if err != nil {
			s.result.Lost++
			s.lose(0, id, "a body without an owner can't be read")
			return nil
		}
		piece, err := s.unpack(v)
		if err != nil || len(piece) < chunkLen && i < len(rows)-1 {
			s.result.Lost++
			s.lose(0, id, "a body without an owner can't be read")
			return nil
		}
		if codec(v[0]) != raw {
			e.flags = entryPacked
		}
		e.wire += int64(len(piece))
		e.crc = crc32.Update(e.crc, castagnoli, piece)
	}
	e.size = e.wire
	return s.orphan(id, e, chunk)
}

// orphan writes a body into the maildrop of lost-and-found. It passes a Mender when it
// is read, since it is not known whether it is in wire form.
func (s *salvage) orphan(id storage.MessageID, e entry, chunk func(i uint32) ([]byte, error)) error {
	if err := s.lostAndFound(); err != nil {
		return err
	}
	if e.wire == 0 {
		return nil
	}
	for i := range e.chunks {
		v, err := chunk(i)
		if err != nil {
			return fmt.Errorf("%w: %w", storage.ErrTemporary, err)
		}
		var k [bodyKeyLen]byte
		if err := s.put(putBodyKey(&k, id, i), v); err != nil {
			return err
		}
	}
	e.arrival = timeOfID(id).UnixMilli()
	s.lastID = max(s.lastID, id)
	var k [maildropKeyLen]byte
	if err := s.put(putMaildropKey(&k, s.found, id), e.appendTo(nil)); err != nil {
		return err
	}
	n := s.counted[s.found]
	s.counted[s.found] = counter{n.messages + 1, n.octets + e.octets()}
	s.result.Found++
	s.result.Octets += e.wire
	return nil
}

// lostAndFound makes the account lost-and-found, once.
func (s *salvage) lostAndFound() error {
	if s.found != 0 {
		return nil
	}
	for a := range s.accounts {
		s.found = max(s.found, a)
	}
	for a := range s.removed {
		s.found = max(s.found, a)
	}
	s.found = max(s.found+1, storage.AccountID(s.number(keyNextAccount))) //nolint:gosec // it was one
	return s.invent(s.found, lostAndFound)
}

// timeOfID is the time that is in an id.
func timeOfID(id storage.MessageID) time.Time {
	return time.UnixMilli(int64(id >> idTimeShift)) //nolint:gosec // 42 bits
}
