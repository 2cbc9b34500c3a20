package lsm

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// Deliver implements storage.Inbox.
func (s *Store) Deliver(d *storage.Delivery) {
	dr := d.Draft.(*draft)
	if dr.done {
		panic("BUG: a draft was delivered twice, or after Discard")
	}
	if err := s.refuseDelivery(d, dr); err != nil {
		dr.Discard()
		d.Done(d, storage.Receipt{}, err)
		return
	}
	dr.done = true
	if s.inFlight.Add(1) > maxInFlight || !s.queue.put(op{delivery: d}) {
		s.inFlight.Add(-1)
		dr.done = false
		dr.Discard()
		d.Done(d, storage.Receipt{}, fmt.Errorf("%w: %d deliveries wait for the disk", storage.ErrTemporary, maxInFlight))
	}
}

// refuseDelivery finds what can be known before the committer's turn.
func (s *Store) refuseDelivery(d *storage.Delivery, dr *draft) error {
	if err := s.refusal(); err != nil {
		return err
	}
	if s.space.full.Load() {
		return s.space.err()
	}
	if dr.store != s || d.Size < 0 || d.Size > dr.wire || dr.wire == 0 || len(d.Recipients)+len(d.Relayed) == 0 {
		return fmt.Errorf("%w: a delivery needs a body, its size and a recipient", storage.ErrInvalid)
	}
	for i := range d.Recipients {
		r := &d.Recipients[i]
		if len(r.Trace) > storage.MaxTrace {
			return fmt.Errorf("%w: trace of %d octets", storage.ErrInvalid, len(r.Trace))
		}
		for _, uidl := range []string{r.UIDL, r.Else} {
			if uidl != "" && !storage.ValidUIDL(uidl) {
				return fmt.Errorf("%w: %.100q is no unique-id", storage.ErrInvalid, uidl)
			}
		}
	}
	for _, e := range d.Relayed {
		if err := checkQueued(e); err != nil {
			return err
		}
	}
	return checkSettlements(d.Settle)
}

// storeChunk applies a sealed chunk at once and unsynced: the WAL's order makes
// it durable with the delivery that comes after it. Each chunk brings the P row,
// so that their order does not matter.
func (c *committer) storeChunk(k chunk) {
	if !k.draft.dropped.Load() {
		c.applyChunk(k)
	}
	c.chunkDone(k)
}

func (c *committer) applyChunk(k chunk) {
	d := k.draft
	b := c.s.db.NewBatchWithSize(chunkLen + 256)
	c.reserve(b, d.id)
	var pk [idKeyLen]byte
	_ = b.Set(putIDKey(&pk, tagDraft, d.id), nil, nil)
	var bk [bodyKeyLen]byte
	_ = b.Set(putBodyKey(&bk, d.id, k.number), k.buf.value(), nil)
	d.packed = d.packed || k.buf.codec != raw
	if err := c.apply(b, pebble.NoSync); err != nil {
		c.s.fail(err)
	} else {
		_ = b.Close()
	}
	d.onDisk = true
}

// chunkDone gives a chunk's memory back, and goes on with what waited for the
// last one.
func (c *committer) chunkDone(k chunk) {
	d := k.draft
	k.buf.release()
	d.taken(chunkLen)
	if d.pending.Add(-1) > 0 {
		return
	}
	switch {
	case d.final != nil:
		c.op = op{delivery: d.final}
		d.final = nil
		c.deliver(c.op.delivery)
	case d.dropIt:
		c.op = op{discard: d}
		c.discard(d)
	}
}

// deliver adds a delivery to the open group, or refuses it.
func (c *committer) deliver(dl *storage.Delivery) {
	d := dl.Draft.(*draft)
	if d.pending.Load() > 0 {
		d.final = dl
		return
	}
	if err := c.admit(dl, d); err != nil {
		if len(dl.Settle) > 0 {
			c.flush() // see plan
		}
		c.refuse(dl, d, err)
		return
	}
	g := c.open()
	c.reserve(g.batch, d.id)
	c.lastChunk(g.batch, d)
	c.entries(g, dl, d)
	c.carryOutPlan(g)
	c.records(g.batch, dl.Settle)
	g.deliveries = append(g.deliveries, dl)
	if g.full() {
		c.flush()
	}
}

// admit returns why the recipients can't have the message; nil: they can.
func (c *committer) admit(dl *storage.Delivery, d *draft) error {
	if err := c.s.refusal(); err != nil {
		return err
	}
	if a := c.duplicate(dl.Recipients); a != 0 {
		return fmt.Errorf("%w: account %d is twice in a delivery", storage.ErrInvalid, a)
	}
	for i := range dl.Recipients { // before the quotas: a message that is there already takes no room
		if err := c.admitUIDL(&dl.Recipients[i], d, dl.Size); err != nil {
			return err
		}
	}
	if err := c.admitQuotas(dl); err != nil {
		return err
	}
	return c.admitSettlements(dl.Settle)
}

// admitSettlements plans what a delivery settles.
func (c *committer) admitSettlements(ss []storage.Settlement) (err error) {
	if len(ss) == 0 {
		return nil
	}
	if !c.guard.enter() {
		return storage.ErrFailed
	}
	defer c.guard.leave()
	defer c.s.recoverRead(&err)
	return c.planSettlements(ss, true)
}

// maxSeen is the size over which the map of duplicate is made again, not cleared.
const maxSeen = 1024

// duplicate returns an account that is in rs more than once; 0: there is none.
func (c *committer) duplicate(rs []storage.Recipient) storage.AccountID {
	if len(rs) < 2 {
		return 0
	}
	if len(c.seen) > maxSeen {
		c.seen = make(map[storage.AccountID]bool)
	}
	clear(c.seen)
	for i := range rs {
		if c.seen[rs[i].Account] {
			return rs[i].Account
		}
		c.seen[rs[i].Account] = true
	}
	return 0
}

// refuse answers a delivery with an error and drops its draft.
func (c *committer) refuse(dl *storage.Delivery, d *draft, err error) {
	d.releaseBuffer()
	c.discard(d)
	c.s.inFlight.Add(-1)
	dl.Done(dl, storage.Receipt{}, err)
}

// lastChunk adds the rows that end the body: its open chunk, and the P row's end.
func (c *committer) lastChunk(b *pebble.Batch, d *draft) {
	if d.buf != nil && d.buf.len() > 0 {
		if c.s.packs {
			c.packer.pack(d.buf, choose(d.buf.len(), c.s.inFlight.Load()))
			d.packed = d.packed || d.buf.codec != raw
		}
		var k [bodyKeyLen]byte
		_ = b.Set(putBodyKey(&k, d.id, d.chunks), d.buf.value(), nil)
	}
	d.releaseBuffer()
	if d.chunks == 0 {
		return
	}
	var k [idKeyLen]byte
	_ = b.Delete(putIDKey(&k, tagDraft, d.id), nil)
	c.s.drafts.remove(d)
}

// entries adds the maildrop and queue entries, their counters, and the body's owners.
func (c *committer) entries(g *group, dl *storage.Delivery, d *draft) {
	e := entry{
		arrival: dl.Arrival.UnixMilli(),
		wire:    d.wire,
		size:    dl.Size,
		crc:     d.crc,
		chunks:  d.bodyChunks(),
		flags:   entryWireForm,
	}
	if d.packed {
		e.flags |= entryPacked
	}
	b := g.batch
	if n := len(dl.Recipients) + len(dl.Relayed); n > 1 {
		e.flags |= entryShared
		setOwners(b, d.id, uint32(n))
	}
	c.enqueue(g, dl, d, e)
	for i := range dl.Recipients {
		r := &dl.Recipients[i]
		e.trace, e.traced, e.uidl = r.Trace, len(r.Trace), []byte(r.UIDL)
		c.value = e.appendTo(c.value[:0])
		var k [maildropKeyLen]byte
		_ = b.Set(putMaildropKey(&k, r.Account, d.id), c.value, nil)
		c.count(b, r.Account, counter{1, e.octets()})
		if r.UIDL != "" {
			c.claimUIDL(b, r, d.id, e)
		}
	}
}

// reserve moves the bound of the ids in the batch that first needs it.
func (c *committer) reserve(b *pebble.Batch, id storage.MessageID) {
	if id < c.idBound {
		return
	}
	c.idBound = id + idReserve
	var v [8]byte
	binary.BigEndian.PutUint64(v[:], uint64(c.idBound))
	_ = b.Set(keyIDBound, v[:], nil)
}

// discard deletes what a draft has on the disk. It need not be synced: if it is
// lost, the P row is there and the next start does it.
func (c *committer) discard(d *draft) {
	if d.chunks == 0 {
		return
	}
	if d.pending.Load() > 0 {
		d.dropIt = true
		return
	}
	if d.onDisk && c.s.failed.Load() == nil {
		b := c.s.db.NewBatch()
		deleteBody(b, d.id, d.chunks)
		var k [idKeyLen]byte
		_ = b.Delete(putIDKey(&k, tagDraft, d.id), nil)
		if err := c.apply(b, pebble.NoSync); err != nil {
			c.s.fail(err)
			return
		}
		_ = b.Close()
	}
	c.s.drafts.remove(d)
}
