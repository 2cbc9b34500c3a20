package lsm

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf8"

	"postrider/codec/address"
	"postrider/codec/smtp"
	"postrider/storage"
)

// queueVersion is the first octet of a Q row's value; queueFronted is the first octet
// if there is an Envelope.Front after the other texts; queueAhead, if there are a Front
// and then an Ahead, in microseconds.
const (
	queueVersion = 1
	queueFronted = 2
	queueAhead   = 3
)

// The flags of a Q row's second octet. RET and BODY have two bits each, from these on.
const (
	queueWarned    = 1
	queueUTF8      = 2
	queueRetShift  = 2
	queueBodyShift = 4
	queueStranger  = 1 << 6
)

// maxPath bounds a path or parameter of an entry, in octets. It is above what a
// command line of RFC 5321 and RFC 3461 can hold: unlike a reason, which is cut, a
// path that does not fit is refused.
const maxPath = 4096

// appendQueueEntry appends the value of a Q row. The domain, the due time, the id
// and whether the entry is held are in the key.
func appendQueueEntry(dst []byte, e *storage.QueueEntry) []byte {
	flags := byte(e.Envelope.Ret&3)<<queueRetShift | byte(e.Envelope.Body&3)<<queueBodyShift
	if e.Warned {
		flags |= queueWarned
	}
	if e.Envelope.SMTPUTF8 {
		flags |= queueUTF8
	}
	if e.Envelope.Stranger {
		flags |= queueStranger
	}
	version := byte(queueVersion)
	switch {
	case e.Ahead != 0:
		version = queueAhead
	case e.Envelope.Front != "":
		version = queueFronted
	}
	dst = append(dst, version, flags, e.Body.Flags)
	dst = binary.BigEndian.AppendUint32(dst, e.Body.CRC)
	for _, n := range [...]uint64{
		uint64(e.Body.Wire), uint64(e.Body.Size), uint64(e.Body.Chunks),
		uint64(e.Arrival.UnixMilli()), uint64(e.Attempts), millis(e.LastAttempt),
	} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, t := range [...]string{
		e.Envelope.ReversePath, e.Envelope.EnvID, cut(e.Envelope.Origin, storage.MaxReason),
		e.Status, cut(e.Reason, storage.MaxReason), cut(e.Peer, storage.MaxReason),
	} {
		dst = appendText(dst, t)
	}
	if version >= queueFronted {
		dst = appendText(dst, e.Envelope.Front)
	}
	if version >= queueAhead {
		dst = binary.AppendVarint(dst, e.Ahead.Microseconds())
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Recipients)))
	for i := range e.Recipients {
		r := &e.Recipients[i]
		dst = append(dst, byte(r.Notify))
		for _, t := range [...]string{r.ForwardPath, r.ORcpt, cut(r.Status, storage.MaxReason), cut(r.Reason, storage.MaxReason)} {
			dst = appendText(dst, t)
		}
	}
	return dst
}

func appendText(dst []byte, t string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(t))), t...)
}

// leastRecipient is the octets of the shortest recipient in a Q row.
const leastRecipient = 5

// parseQueueEntry reads what appendQueueEntry wrote. All texts of the entry are
// parts of one copy of v.
func parseQueueEntry(v []byte) (*storage.QueueEntry, error) {
	r := reader{rest: string(v)}
	version := r.octet()
	if version < queueVersion || version > queueAhead {
		return nil, fmt.Errorf("%w: queue row of %d octets can't be read", storage.ErrCorrupt, len(v))
	}
	e := new(storage.QueueEntry)
	flags := r.octet()
	e.Warned = flags&queueWarned != 0
	e.Envelope.SMTPUTF8 = flags&queueUTF8 != 0
	e.Envelope.Stranger = flags&queueStranger != 0
	e.Envelope.Ret = smtp.Ret(flags >> queueRetShift & 3)
	e.Envelope.Body = smtp.Body(flags >> queueBodyShift & 3)
	e.Body.Flags = r.octet()
	for range 4 {
		e.Body.CRC = e.Body.CRC<<8 | uint32(r.octet())
	}
	e.Body.Wire, e.Body.Size, e.Body.Chunks = int64(r.uvarint()), int64(r.uvarint()), uint32(r.uvarint())
	e.Arrival = time.UnixMilli(int64(r.uvarint()))
	e.Attempts = int(r.uvarint())
	if ms := r.uvarint(); ms != 0 {
		e.LastAttempt = time.UnixMilli(int64(ms))
	}
	for _, t := range [...]*string{
		&e.Envelope.ReversePath, &e.Envelope.EnvID, &e.Envelope.Origin,
		&e.Status, &e.Reason, &e.Peer,
	} {
		*t = r.text()
	}
	if version >= queueFronted {
		e.Envelope.Front = r.text()
	}
	if version >= queueAhead {
		e.Ahead = r.lead()
	}
	n := r.uvarint()
	if n > uint64(len(r.rest)/leastRecipient) {
		r.short = true
		n = 0
	}
	e.Recipients = make([]storage.QueuedRecipient, n)
	for i := range e.Recipients {
		to := &e.Recipients[i]
		to.Notify = smtp.Notify(r.octet())
		to.ForwardPath, to.ORcpt, to.Status, to.Reason = r.text(), r.text(), r.text(), r.text()
	}
	if r.short || r.rest != "" {
		return nil, fmt.Errorf("%w: queue row of %d octets has a wrong length", storage.ErrCorrupt, len(v))
	}
	return e, nil
}

// reader takes fields off a row; short: one was not there.
type reader struct {
	rest  string
	short bool
}

func (r *reader) octet() byte {
	if r.rest == "" {
		r.short = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uvarint() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := r.octet()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.short = true // longer than any that was written
	return 0
}

// maxLead bounds an Ahead: 142 years, in half microseconds. A Duration holds 292.
const maxLead = 1 << 53

// lead is a signed number of microseconds, as encoding/binary writes it.
func (r *reader) lead() time.Duration {
	n := min(r.uvarint(), maxLead)
	us := int64(n >> 1) //nolint:gosec // at most maxLead
	if n&1 != 0 {
		us = ^us
	}
	return time.Duration(us) * time.Microsecond
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.short = true
		return ""
	}
	t := r.rest[:n]
	r.rest = r.rest[n:]
	return t
}

func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMilli(), 0))
}

// cut is t in at most limit octets, without half a character at its end.
func cut(t string, limit int) string {
	if len(t) <= limit {
		return t
	}
	for limit > 0 && !utf8.RuneStart(t[limit]) {
		limit--
	}
	return t[:limit]
}

// bodyOf is the body of an entry as its reader and its end want it.
func bodyOf(e *storage.QueueEntry) entry {
	return entry{
		flags: e.Body.Flags, arrival: e.Arrival.UnixMilli(),
		wire: e.Body.Wire, size: e.Body.Size, crc: e.Body.CRC, chunks: e.Body.Chunks,
	}
}

// checkQueued reports whether what the caller sets of an entry can be stored.
func checkQueued(e *storage.QueueEntry) error {
	if err := checkName("destination", e.Domain, maxDomain, address.FoldDomain); err != nil {
		return err
	}
	if len(e.Envelope.ReversePath) > maxPath || len(e.Envelope.EnvID) > maxPath {
		return fmt.Errorf("%w: a reverse-path or ENVID over %d octets", storage.ErrInvalid, maxPath)
	}
	if len(e.Envelope.Front) > storage.MaxFront {
		return fmt.Errorf("%w: %d octets of fields before the body", storage.ErrInvalid, len(e.Envelope.Front))
	}
	return checkQueuedRecipients(e.Recipients, e.Domain)
}

func checkQueuedRecipients(rs []storage.QueuedRecipient, domain string) error {
	if len(rs) == 0 {
		return fmt.Errorf("%w: a queue entry for %s without a recipient", storage.ErrInvalid, domain)
	}
	for i := range rs {
		if len(rs[i].ForwardPath) > maxPath || len(rs[i].ORcpt) > maxPath {
			return fmt.Errorf("%w: a forward-path or ORCPT over %d octets", storage.ErrInvalid, maxPath)
		}
	}
	return nil
}

// standing is the value of an E row: the place of an entry in the queue.
type standing struct {
	domain string
	due    uint64
	warned bool
}

func (p *standing) held() bool { return p.due == heldDue }

// The flags of an E row. The due time shows held entries too; the flag is here so that
// a listing of held or unwarned entries reads no other entries.
const (
	queuedHeld   = 1
	queuedWarned = 2
)

// queuedHeadLen is the length of an E row up to the domain.
const queuedHeadLen = 1 + 8

func (p *standing) appendTo(dst []byte) []byte {
	var flags byte
	if p.held() {
		flags |= queuedHeld
	}
	if p.warned {
		flags |= queuedWarned
	}
	dst = binary.BigEndian.AppendUint64(append(dst, flags), p.due)
	return append(dst, p.domain...)
}

func parseStanding(v []byte) (standing, error) {
	if len(v) <= queuedHeadLen || v[0]&queuedHeld != 0 != (binary.BigEndian.Uint64(v[1:]) == heldDue) {
		return standing{}, fmt.Errorf("%w: row of an entry's place in the queue, %d octets", storage.ErrCorrupt, len(v))
	}
	return standing{
		domain: string(v[queuedHeadLen:]),
		due:    binary.BigEndian.Uint64(v[1:]),
		warned: v[0]&queuedWarned != 0,
	}, nil
}
