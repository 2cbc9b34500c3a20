package storage

// MaxUIDL is the most octets of a unique-id (RFC 1939 section 7).
const MaxUIDL = 70

// ValidUIDL reports whether s can be a unique-id: 1 to 70 characters from 0x21 to 0x7E
// (RFC 1939 section 7).
func ValidUIDL(s string) bool {
	if len(s) == 0 || len(s) > MaxUIDL {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// IDOfUIDL returns the message that has s as its unique-id because s is its id.
func IDOfUIDL(s string) (MessageID, bool) {
	id, err := ParseMessageID(s)
	return id, err == nil && id.String() == s // a client compares octets, so case counts
}

// AppendUIDL appends the unique-id of the message to dst: the one that it came with, else
// its id.
func (e Entry) AppendUIDL(dst []byte) []byte {
	if len(e.UIDL) > 0 {
		return append(dst, e.UIDL...)
	}
	return e.ID.AppendTo(dst)
}
