package storage

import "slices"

// Listing is the messages of a maildrop as one session sees them: message
// numbers 1 to Len in order of arrival. 12 octets a message, in blocks, so that
// a maildrop of a million messages costs 12 MB and no copy while it grows, and
// one of a few messages some hundred octets: the first block begins small.
// Only a block with a message that came with its unique-id has unique-ids, 4 octets
// a message and their text; the others have their ids.
// It is written by one goroutine, then read by any; see Extend.
type Listing struct {
	blocks []listingBlock
	n      int
	octets int64
	uidls  int64 // octets that unique-ids take
	// More: the maildrop holds more messages than the listing.
	More bool
}

// listingBlock is up to listingBlockLen messages.
type listingBlock struct {
	ids   []MessageID
	sizes []uint32
	uidls *listedUIDLs // nil: each is its id
}

// listedUIDLs are the unique-ids of a block: that of message i is what of text is between
// the ends of i-1 and i; nothing: it is its id.
type listedUIDLs struct {
	ends []uint32
	text []byte
}

const (
	listingBlockLen   = 1024
	listingFirstBlock = 8
)

// Extend returns a listing of the same messages that can be appended to, while l
// stays as it is for its readers. Full blocks are shared.
func (l *Listing) Extend() *Listing {
	e := &Listing{blocks: slices.Clone(l.blocks), n: l.n, octets: l.octets, uidls: l.uidls}
	if n := len(e.blocks); n > 0 {
		b := &e.blocks[n-1]
		b.ids, b.sizes = slices.Clip(b.ids), slices.Clip(b.sizes) // Append copies them
		if u := b.uidls; u != nil {
			b.uidls = &listedUIDLs{slices.Clip(u.ends), slices.Clip(u.text)}
		}
	}
	return e
}

// Append adds the next message, which has its id as its unique-id; octets is
// Entry.Octets, below 4 GiB.
func (l *Listing) Append(id MessageID, octets int64) { l.AppendEntry(id, octets, nil) }

// AppendEntry adds the next message; uidl is Entry.UIDL, of which a copy is kept.
func (l *Listing) AppendEntry(id MessageID, octets int64, uidl []byte) {
	if l.n == len(l.blocks)*listingBlockLen {
		room := listingBlockLen
		if l.n == 0 {
			room = listingFirstBlock
		}
		l.blocks = append(l.blocks, listingBlock{ids: make([]MessageID, 0, room), sizes: make([]uint32, 0, room)})
	}
	b := &l.blocks[len(l.blocks)-1]
	b.ids = append(b.ids, id)
	b.sizes = append(b.sizes, uint32(octets))
	l.n++
	l.octets += octets
	if len(uidl) > 0 || b.uidls != nil {
		l.appendUIDL(b, uidl)
	}
}

// appendUIDL adds the unique-id of the last message of b.
func (l *Listing) appendUIDL(b *listingBlock, uidl []byte) {
	u := b.uidls
	if u == nil {
		u = &listedUIDLs{ends: make([]uint32, len(b.ids)-1, cap(b.ids))}
		b.uidls = u
		l.uidls += 4 * int64(len(u.ends))
	}
	u.text = append(u.text, uidl...)
	u.ends = append(u.ends, uint32(len(u.text)))
	l.uidls += 4 + int64(len(uidl))
	if len(b.ids) == listingBlockLen {
		u.text = slices.Clone(u.text) // without the room to grow
	}
}

// Len is the number of messages.
func (l *Listing) Len() int { return l.n }

// Octets is the sum of the sizes.
func (l *Listing) Octets() int64 { return l.octets }

// At returns the id and the octets of message i, counted from 0.
func (l *Listing) At(i int) (MessageID, int64) {
	b := &l.blocks[i/listingBlockLen]
	return b.ids[i%listingBlockLen], int64(b.sizes[i%listingBlockLen])
}

// AppendUIDL appends the unique-id of message i, counted from 0, to dst.
func (l *Listing) AppendUIDL(dst []byte, i int) []byte {
	b := &l.blocks[i/listingBlockLen]
	i %= listingBlockLen
	if u := b.uidls; u != nil {
		begin := uint32(0)
		if i > 0 {
			begin = u.ends[i-1]
		}
		if end := u.ends[i]; end > begin {
			return append(dst, u.text[begin:end]...)
		}
	}
	return b.ids[i].AppendTo(dst)
}

// listedOctets is the memory of a message whose unique-id is its id.
const listedOctets = 12

// Memory is the octets of memory that the messages take.
func (l *Listing) Memory() int64 { return int64(l.n)*listedOctets + l.uidls }
