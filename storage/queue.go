package storage

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"postrider/codec/smtp"
)

// Queue is the mail that waits for other hosts, ordered by destination and, within
// one, by when it is due. A destination is the domain of the forward-paths, folded
// (see package address), so that a domain has one; where its mail goes is decided again at each attempt.
//
// # How the scheduler works
//
// One scheduler works a queue. It never lists it: Awake names the destinations
// that are to be looked at by now, ReadDue reads what is due for one, Settle records
// the result, and Sleep gives the destination back. The store keeps, for
// each destination that has an entry with a due time, a durable mark of when to
// look at it; so a crash at any moment forgets no destination, and finding what is
// due costs what is due, however much is queued.
type Queue interface {
	// Watch has f called after each commit that put entries of a destination that are
	// due into the queue, or made some due at once; flush: an operator asked for it,
	// which ends waiting of any kind. f is called on a goroutine of the store and
	// must not block. There is one watcher; the next call replaces it.
	Watch(f func(domain string, flush bool))
	// Awake calls f for each destination that is to be looked at and was not at
	// the last call, and for each one that was awake when the store was opened. It
	// may name a destination again, and one without due entries. The caller has to put
	// each named destination to Sleep at some time.
	Awake(f func(domain string)) error
	// ReadDue reads the entries of a destination that are due and come after the
	// cursor, in the order in which they are due, at most limit. The zero Cursor is
	// before all. No entry is ever put before one that is due already, so a reader
	// that goes on from the last Cursor misses nothing and meets nothing twice. The
	// entries are the caller's.
	ReadDue(domain string, after Cursor, limit int) ([]*QueueEntry, error)
	// Sleep gives a destination back: the store wakes it when the first of its
	// entries after the cursor is due, but not before notBefore (zero: no bound). An
	// entry that was read and is not settled has to be after the cursor (see
	// QueueEntry.Before): otherwise it is lost to the scheduler after a crash. Never
	// blocks.
	Sleep(domain string, after Cursor, notBefore time.Time)
	// Settle records the results for entries, all in one synced step. An entry that
	// is not there any more is skipped: an operator has removed it.
	Settle(ss []Settlement) error
	// OpenQueued opens the body of an entry; ErrNotFound when it is gone.
	OpenQueued(e *QueueEntry) (Message, error)

	// QueuedEntry returns one entry; ErrNotFound.
	QueuedEntry(id EntryID) (*QueueEntry, error)
	// Queued calls f for each entry that the filter lets through, until f returns
	// false: in order of arrival, unless the filter has a domain or a status, which
	// come first then. It holds no lock while f runs.
	Queued(filter QueueFilter, f func(*QueueEntry) bool) error
	// MoveQueued does the same to all of the entries, in synced steps of up to 1,000,
	// and returns how many it changed: an entry that is gone, or is held or released
	// already, is not counted. Entries with an attempt under way are moved as well: what
	// the attempt delivers is done all the same.
	MoveQueued(ids []EntryID, m QueueMove) (int, error)
	// QueueTotal is how many entries there are, and the octets of their messages.
	// Never blocks.
	QueueTotal() (entries, octets int64)
	// History calls f for each Record of a message, oldest first, until f returns
	// false; also of one that has left the queue.
	History(id MessageID, f func(Record) bool) error
	// ForgetHistory drops the records of messages that arrived before t, by their ids.
	ForgetHistory(t time.Time) error
}

// EntryID names an entry of the queue: a message, and its recipients at one
// destination.
type EntryID struct {
	Message MessageID
	Part    uint32 // counts the entries of a message from 0
}

// String is the message's id, and after a hyphen the part unless it is the first.
func (e EntryID) String() string {
	if e.Part == 0 {
		return e.Message.String()
	}
	return e.Message.String() + "-" + strconv.FormatUint(uint64(e.Part), 10)
}

// Before reports whether e comes before o: messages in order of arrival, then parts.
func (e EntryID) Before(o EntryID) bool {
	return e.Message < o.Message || e.Message == o.Message && e.Part < o.Part
}

// ParseEntryID reads what String wrote.
func ParseEntryID(s string) (EntryID, error) {
	id, part, has := strings.Cut(s, "-")
	m, err := ParseMessageID(id)
	if err != nil || !has {
		return EntryID{Message: m}, err
	}
	n, err := strconv.ParseUint(part, 10, 32)
	if err != nil {
		return EntryID{}, errors.New("not a queue entry id: expected a number after the hyphen")
	}
	return EntryID{m, uint32(n)}, nil
}

// Envelope has the parameters of MAIL, and where the message came from.
type Envelope struct {
	ReversePath string // as text without brackets; "": the null path
	EnvID       string // ENVID as it came, xtext; "": not said
	Ret         smtp.Ret
	Body        smtp.Body
	SMTPUTF8    bool
	// Stranger: it was brought by a client that may not relay. A notification of success
	// returns nothing of it.
	Stranger bool
	// Origin says where the message came from, for people: "client unknown[192.0.2.1]
	// helo=<x> by ESMTP". At most MaxReason octets are kept.
	Origin string
	// Front has fields before the body that only this destination gets (Delivered-To)
	// or that are known only at the end of the body (DKIM-Signature): whole lines that
	// end with CRLF and do not begin with a dot. At most MaxFront octets. OpenQueued reads it as the first piece of the
	// message.
	Front string
}

// MaxSignature bounds the signatures in Envelope.Front: one by RSA of 4,096 bits, and
// more. MaxFront bounds all of it; the rest is for a Delivered-To field.
const (
	MaxSignature = 4096
	MaxFront     = MaxSignature + 512
)

// QueuedRecipient is one forward-path of an entry.
type QueuedRecipient struct {
	ForwardPath string // as text without brackets
	ORcpt       string // ORCPT as it came, "rfc822;xtext"; "": not said
	Notify      smtp.Notify
	// Status and Reason are of the last attempt, where they differ from the entry's.
	Status, Reason string
}

// MaxReason bounds, in octets, what is kept of a reason, a peer's name or an
// Origin; more is cut.
const MaxReason = 1024

// BodyRef finds a body in its store. Only the store makes and reads one.
type BodyRef struct {
	Wire, Size int64 // octets as kept, and without stuffed dots
	CRC        uint32
	Chunks     uint32
	Flags      byte
}

// Size is the octets of the whole message without stuffed dots.
func (e *QueueEntry) Size() int64 { return int64(len(e.Envelope.Front)) + e.Body.Size }

// QueueEntry is one entry of the queue.
type QueueEntry struct {
	ID       EntryID
	Domain   string // the destination
	Envelope Envelope
	// Recipients are the destination's open recipients.
	Recipients []QueuedRecipient
	Arrival    time.Time
	Body       BodyRef

	// Due is when the next attempt may be made, by the clock of the queue; zero while
	// the entry is held. Each change by the store gives the entry another one: it tells
	// one state of the entry from the next (see Settlement).
	Due time.Time
	// Ahead is how far the clock of the queue was ahead of the machine's when the entry
	// was read: not zero after a step of the machine's clock. Arrival is by the
	// machine's clock as it was then, and its age is the time that has passed: what is
	// in a queue grows no older by a step.
	Ahead time.Duration
	// Held: an operator holds the entry; it is never due.
	Held bool
	// Warned: the sender was notified that the message is late.
	Warned   bool
	Attempts int
	// LastAttempt, Status ("4.4.1"), Reason (one line of text) and Peer
	// ("mx.example.org[192.0.2.1]:25"; "" when none was reached) are of the last
	// attempt, or why none was made.
	LastAttempt          time.Time
	Status, Reason, Peer string
}

// dueAhead is how far the due time of an entry that was made due at once may be
// ahead of the clock: a store that was just opened begins after every due time that
// the process before may have given.
const dueAhead = time.Second

// IsDue reports whether the next attempt may be made at now. For people who look: an
// entry that was made due at once is due, whatever its stamp.
func (e *QueueEntry) IsDue(now time.Time) bool {
	return !e.Held && !e.DueAt().After(now.Add(dueAhead))
}

// DueAt is Due by the machine's clock.
func (e *QueueEntry) DueAt() time.Time {
	if e.Due.IsZero() {
		return e.Due
	}
	return e.Due.Add(-e.Ahead)
}

// StatusOf and ReasonOf return the status and reason of a recipient's last attempt.
func (e *QueueEntry) StatusOf(r *QueuedRecipient) string {
	if r.Status != "" {
		return r.Status
	}
	return e.Status
}

// ReasonOf: see StatusOf.
func (e *QueueEntry) ReasonOf(r *QueuedRecipient) string {
	if r.Reason != "" {
		return r.Reason
	}
	return e.Reason
}

// Cursor is a place in the queue of one destination: after an entry.
type Cursor struct {
	Due time.Time
	ID  EntryID
}

// Cursor is the place after e.
func (e *QueueEntry) Cursor() Cursor { return Cursor{e.Due, e.ID} }

// Before is the place just before e.
func (e *QueueEntry) Before() Cursor {
	if e.ID == (EntryID{}) {
		return Cursor{e.Due.Add(-time.Microsecond), EntryID{MaxMessageID, 1<<32 - 1}}
	}
	id := e.ID
	if id.Part > 0 {
		id.Part--
	} else {
		id = EntryID{id.Message - 1, 1<<32 - 1}
	}
	return Cursor{e.Due, id}
}

// Settlement is the result for an entry. It is made from the entry as it was read:
// when an operator has held it or made it due meanwhile, the finished recipients go
// all the same, and the others stay where the operator put them.
type Settlement struct {
	Entry *QueueEntry // as it was read; not changed
	// Keep is the recipients that stay, with their new Status and Reason; none: the
	// entry goes, and with its last owner the body.
	Keep []QueuedRecipient
	// The new state of what stays. Due is by the machine's clock, and is put into the
	// future if it is not there.
	Due                  time.Time
	Warned               bool
	Attempts             int
	LastAttempt          time.Time
	Status, Reason, Peer string
	// Record is added to the message's history when its Text is not empty.
	Record Record
}

// Record is a line of a message's history. Text may have several lines.
type Record struct {
	At   time.Time
	Text string // at most 16 KiB are kept
}

// QueueMove is what an operator does to entries.
type QueueMove uint8

// The moves. RequeueNow makes an entry due at once, whether held or not; Hold
// keeps it from being due, Release undoes that and makes it due at once;
// DropQueued removes it without a notification.
const (
	RequeueNow QueueMove = iota + 1
	Hold
	Release
	DropQueued
)

// QueueFilter selects entries: all conditions that are set must hold. The zero
// filter lets everything through.
type QueueFilter struct {
	Message     MessageID // this message; 0: any
	Domain      string    // this destination, folded (see package address); "": any
	ReversePath *string   // this reverse-path, compared without case; nil: any
	Status      string    // the last Status is this one, or begins with it and a dot ("4.4"); "": any
	// ArrivedBefore and ArrivedAfter compare the time in the message's id, which may be
	// some seconds ahead of QueueEntry.Arrival. Zero: any.
	ArrivedBefore, ArrivedAfter time.Time
	Held                        *bool
	Unwarned                    bool
	// AnyOrder: entries may come in any order, which is faster.
	AnyOrder bool
}
