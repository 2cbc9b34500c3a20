package storage

// Listing is the messages of a maildrop as one session sees them: message
// numbers 1 to Len in order of arrival. 12 octets a message, in blocks, so that
// a maildrop of a million messages costs 12 MB and no copy while it grows.
// It is written by one goroutine, then read by any.
type Listing struct {
	blocks []*listingBlock
	n      int
	octets int64
	// More says that the maildrop holds more messages than the listing.
	More bool
}

const listingBlockLen = 1024

type listingBlock struct {
	ids   [listingBlockLen]MessageID
	sizes [listingBlockLen]uint32
}

// Append adds the next message; octets is Entry.Octets, below 4 GiB.
func (l *Listing) Append(id MessageID, octets int64) {
	at := l.n % listingBlockLen
	if at == 0 {
		l.blocks = append(l.blocks, new(listingBlock))
	}
	b := l.blocks[len(l.blocks)-1]
	b.ids[at], b.sizes[at] = id, uint32(octets)
	l.n++
	l.octets += octets
}

// Len is the number of messages.
func (l *Listing) Len() int { return l.n }

// Octets is the sum of the sizes.
func (l *Listing) Octets() int64 { return l.octets }

// At returns the id and the octets of message i, counted from 0.
func (l *Listing) At(i int) (MessageID, int64) {
	b := l.blocks[i/listingBlockLen]
	return b.ids[i%listingBlockLen], int64(b.sizes[i%listingBlockLen])
}
