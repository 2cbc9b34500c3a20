package storage

import "slices"

// Listing is the messages of a maildrop as one session sees them: message
// numbers 1 to Len in order of arrival. 12 octets a message, in blocks, so that
// a maildrop of a million messages costs 12 MB and no copy while it grows, and
// one of a few messages some hundred octets: the first block begins small.
// It is written by one goroutine, then read by any; see Extend.
type Listing struct {
	blocks []listingBlock
	n      int
	octets int64
	// More: the maildrop holds more messages than the listing.
	More bool
}

// listingBlock is up to listingBlockLen messages.
type listingBlock struct {
	ids   []MessageID
	sizes []uint32
}

const (
	listingBlockLen   = 1024
	listingFirstBlock = 8
)

// Extend returns a listing of the same messages that can be appended to, while l
// stays as it is for its readers. Full blocks are shared.
func (l *Listing) Extend() *Listing {
	e := &Listing{blocks: slices.Clone(l.blocks), n: l.n, octets: l.octets}
	if n := len(e.blocks); n > 0 {
		b := &e.blocks[n-1]
		b.ids, b.sizes = slices.Clip(b.ids), slices.Clip(b.sizes) // Append copies them
	}
	return e
}

// Append adds the next message; octets is Entry.Octets, below 4 GiB.
func (l *Listing) Append(id MessageID, octets int64) {
	if l.n == len(l.blocks)*listingBlockLen {
		room := listingBlockLen
		if l.n == 0 {
			room = listingFirstBlock
		}
		l.blocks = append(l.blocks, listingBlock{make([]MessageID, 0, room), make([]uint32, 0, room)})
	}
	b := &l.blocks[len(l.blocks)-1]
	b.ids = append(b.ids, id)
	b.sizes = append(b.sizes, uint32(octets))
	l.n++
	l.octets += octets
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
