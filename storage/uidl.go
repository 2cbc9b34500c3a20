package storage

import "postrider/codec/pop3"

// MaxUIDL is the most octets of a unique-id that a store keeps: all that POP3 allows.
const MaxUIDL = pop3.MaxUIDL

// ValidUIDL reports whether a store can keep s as a unique-id: whether it is one of POP3.
func ValidUIDL(s string) bool { return pop3.ValidUIDL(s) }

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
