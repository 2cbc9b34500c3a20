package pop3d

import (
	"math/bits"

	"postrider/storage"
)

// Listing is the maildrop as the login brought it; nil before.
func (s *Session) Listing() *storage.Listing { return s.listing }

// Deleted calls f with the index of each message that is marked as deleted.
func (s *Session) Deleted(f func(i int)) {
	for w, word := range s.marks {
		for ; word != 0; word &= word - 1 {
			f(w*64 + bits.TrailingZeros64(word))
		}
	}
}

// AppendDeleted appends the ids of the messages that are marked as deleted to dst,
// in their order.
func (s *Session) AppendDeleted(dst []storage.MessageID) []storage.MessageID {
	s.Deleted(func(i int) {
		id, _ := s.listing.At(i)
		dst = append(dst, id)
	})
	return dst
}

// setListing begins the maildrop.
func (s *Session) setListing(l *storage.Listing) {
	if l == nil {
		l = new(storage.Listing)
	}
	s.listing = l
	s.kept = l.Octets()
}

// messages is how many messages have no mark.
func (s *Session) messages() int { return s.listing.Len() - s.deleted }

// index finds the message with the number, 1 or more; ok: there is one, and it
// is not marked as deleted.
func (s *Session) index(number int) (i int, ok bool) {
	if number < 1 || number > s.listing.Len() || s.isDeleted(number-1) {
		return 0, false
	}
	return number - 1, true
}

func (s *Session) isDeleted(i int) bool {
	return s.marks != nil && s.marks[i/64]&(1<<(i%64)) != 0
}

// nextKept returns the index of the first message at or after i that has no
// mark, or the length of the listing. It passes over 64 marks in one step: a peer
// that marks a million messages and then lists them again and again is cheap.
func (s *Session) nextKept(i int) int {
	n := s.listing.Len()
	if s.marks == nil {
		return i
	}
	for i < n {
		free := ^s.marks[i/64] >> (i % 64)
		if free != 0 {
			return min(i+bits.TrailingZeros64(free), n)
		}
		i = (i/64 + 1) * 64
	}
	return n
}

// mark marks a message that has no mark.
func (s *Session) mark(i int) {
	if s.marks == nil {
		s.marks = make([]uint64, (s.listing.Len()+63)/64)
	}
	s.marks[i/64] |= 1 << (i % 64)
	s.deleted++
	_, octets := s.listing.At(i)
	s.kept -= octets
}

// unmark takes all marks away.
func (s *Session) unmark() {
	clear(s.marks)
	s.deleted = 0
	s.kept = s.listing.Octets()
}
