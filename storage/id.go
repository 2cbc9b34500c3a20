package storage

import (
	"errors"
	"math"
)

// AccountID names an account inside one store. Zero is no account. It stays the
// same when the account is renamed and is never given to another account.
type AccountID uint32

// MessageID is the sequence number of a message in its store: 64 bits, rising
// in the order in which messages begin to arrive, never reused. It is the queue
// id in replies and logs, the key of the body, and the UIDL in every maildrop
// that holds the message. Zero is no message.
type MessageID uint64

// MaxMessageID is the bound of a listing that leaves nothing out.
const MaxMessageID MessageID = math.MaxUint64

// idAlphabet is Crockford's base 32: no I, L, O, U, so that an id read out over
// the telephone stays the same id, and text order is number order.
const idAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// idLen is the length of a MessageID as text: 13 digits of 5 bits hold 64.
const idLen = 13

// AppendTo appends the id as text, 13 octets of 0-9 and A-Z, to dst.
func (id MessageID) AppendTo(dst []byte) []byte {
	var b [idLen]byte
	for i := idLen - 1; i >= 0; i-- {
		b[i] = idAlphabet[id&31]
		id >>= 5
	}
	return append(dst, b[:]...)
}

// String returns the id as AppendTo writes it.
func (id MessageID) String() string { return string(id.AppendTo(nil)) }

// errNotAnID is the one error of ParseMessageID.
var errNotAnID = errors.New("not a message id: expected 13 characters of 0-9 and A-Z (without I, L, O, U)")

// ParseMessageID reads what String wrote; lower case is understood.
func ParseMessageID(s string) (MessageID, error) {
	if len(s) != idLen {
		return 0, errNotAnID
	}
	var id uint64
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		d := -1
		for k := range len(idAlphabet) {
			if idAlphabet[k] == c {
				d = k
				break
			}
		}
		if d < 0 || i == 0 && d > 15 {
			return 0, errNotAnID
		}
		id = id<<5 | uint64(d)
	}
	return MessageID(id), nil
}
