package storage

import (
	"context"
	"time"
)

// Store is one open mail store. All methods may be called from any goroutine.
type Store interface {
	Directory
	Inbox
	Drafts
	Maildrops
	Keeper
	Queue

	// Expect adds n to the number of transactions under way that may soon deliver a
	// message; n may be negative. While there are many the store may hold a sync back
	// for a moment, to have more of them in it. Never blocks.
	Expect(n int)
	// Proofs counts the accounts that can prove their password. Never blocks, and a
	// change counts as soon as it can be read.
	Proofs() Proofs
	// CredentialChanges counts changed passwords, accounts that were changed by
	// ChangeAccount and removed accounts: while it is the same, SameLogin holds for each
	// account that was there. It is at least as new
	// as what is read from the directory after it. Never blocks, and is cheap.
	CredentialChanges() uint64
	// Health returns the state of the store. Never blocks.
	Health() Health
	// Check reads the whole store and calls report for each fault it finds; the
	// store may be in use meanwhile. The error is for a check that could not be
	// carried out, not for what it found.
	Check(ctx context.Context, report func(Fault)) (CheckSummary, error)
	// Checkpoint makes a directory with files that are the store as it is now: all that
	// has a Receipt is in them, and they don't change any more. They share the disk's
	// blocks with the store. dir is its name in the data directory; remove deletes it.
	// ErrInvalid: the store is not kept in files.
	Checkpoint() (dir string, remove func() error, err error)
	// Close waits for deliveries under way, then closes the files.
	Close() error
}

// Inbox is how messages get in.
type Inbox interface {
	// Admit reports whether a message of about size octets (0: unknown) would be
	// taken now: nil, ErrFull, ErrTemporary or ErrFailed. Never blocks.
	Admit(size int64) error
	// NewDraft begins a body of about size octets (a hint; 0: unknown). Never
	// blocks. The caller must Deliver or Discard it.
	NewDraft(size int64) Draft
	// Deliver makes d durable for all of its recipients at once, then calls
	// d.Done exactly once on a goroutine of the store, possibly before Deliver
	// returns. Never blocks. d and its slices belong to the store until Done.
	Deliver(d *Delivery)
}

// Drafts reads a draft again before it is delivered: if it can't be delivered as it
// is, to make another draft from it.
type Drafts interface {
	// OpenDraft opens what was appended to a draft, as it was appended. It blocks until
	// the store's writer has taken the draft's full chunks. Until the Message is closed
	// nothing may be appended to the draft; afterwards it may only be discarded or opened
	// again. The Entry has no Arrival, no Trace and no Size.
	OpenDraft(d Draft) (Message, error)
}

// Draft is a message body on its way in. It is used by one goroutine at a time.
// It is invisible before it is delivered.
type Draft interface {
	// ID is the id that the message will have.
	ID() MessageID
	// Append copies run to the end of the body. Never blocks. The body of a draft that
	// is delivered is the wire form of the message: see package dot. Readers send it as
	// it is.
	Append(run []byte)
	// Backlog is how many octets were appended and not yet taken by the store's
	// writer: what the caller bounds by pausing its peer. Never blocks.
	Backlog() int64
	// Notify calls f once, on a goroutine of the store (or at once), when at most
	// mark octets of the chunks that are full are not taken yet, or when the draft
	// has failed. f must not block. At most one Notify is open at a time; Discard
	// voids it.
	Notify(mark int64, f func())
	// Discard drops the draft; it may not be used afterwards. Never blocks.
	Discard()
}

// Delivery is a finished draft with its envelope.
type Delivery struct {
	Draft Draft
	// Arrival is when the message began to arrive; kept in whole milliseconds.
	Arrival time.Time
	// Size is the body's octets without stuffed dots, at most its wire length.
	Size int64
	// Recipients are the maildrops; each account may be in it only once.
	Recipients []Recipient
	// Relayed are entries for the queue, one for each destination. The caller sets
	// Domain, Envelope and Recipients, and Due if the first attempt is to wait; the
	// store fills in the rest. Either Recipients or Relayed has to have something.
	Relayed []*QueueEntry
	// Settle is carried out in the same step: a notification is stored together with
	// the settlement that it reports. When one of the entries is gone, nothing is
	// stored, and the outcome is ErrFenced.
	Settle []Settlement
	// Near are quotas that are almost used up: the store sets it before Done.
	Near []NearQuota
	// Done gets the outcome: a Receipt and nil, or an error (ErrFull, ErrTemporary,
	// ErrFailed, ErrNotFound when an account was removed meanwhile) and nothing stored.
	Done func(d *Delivery, r Receipt, err error)
}

// Recipient is one maildrop of a delivery.
type Recipient struct {
	Account AccountID
	// Trace has the fields before the body in this maildrop only (Return-Path,
	// Delivered-To, and what is known only at the message's end, such as
	// DKIM-Signature): whole lines that end with CRLF and do not begin with a dot. At
	// most MaxTrace octets.
	Trace []byte
	// UIDL is the unique-id that the message has in this maildrop since before it came
	// here (see ValidUIDL); "": it gets its id. If a message of the maildrop has it
	// already, then with the same octets the outcome is ErrExists, and with others the
	// message gets Else or its id. An id that may still be given to a message of this store
	// is not taken either. The store sets UIDL before Done to the one that the message has
	// got: "" is its id.
	UIDL string
	// Else is the unique-id that takes the place of UIDL, if that is taken, by the same
	// rules; "": none. A message that is imported again is known by it.
	Else string `json:",omitempty"`
}

// MaxTrace bounds Recipient.Trace: two paths of the largest size and their names, what
// was found out about the sender, and an Envelope.Front.
const MaxTrace = 3072 + MaxFront

// Receipt is the proof that a message is durable. Only NewReceipt makes one,
// and only a store's commit path, after its sync, calls NewReceipt.
type Receipt struct{ id MessageID }

// NewReceipt is for the commit path of a store, after the sync that covers id.
func NewReceipt(id MessageID) Receipt { return Receipt{id} }

// ID is the message that is durable; zero in the zero Receipt, which proves nothing.
func (r Receipt) ID() MessageID { return r.id }

// Maildrops is how messages get out.
type Maildrops interface {
	// LockMaildrop takes the maildrop for one session. ErrInUse at once when
	// another has it, ErrNotFound without such an account.
	LockMaildrop(account AccountID) (Lock, error)
	// View opens a snapshot of the maildrop for reading, locked or not; deliveries
	// and deletions after it do not show. The caller must close it soon: it pins files.
	View(account AccountID) (View, error)
	// Browse is View from the newest message on, or from the message from if that is
	// older, towards the oldest.
	Browse(account AccountID, from MessageID) (View, error)
	// EachEntry calls f for each message of the maildrop in order of arrival, until f returns
	// false. No body is read. Trace and UIDL of the entry are f's until it returns.
	EachEntry(account AccountID, f func(Entry) bool) error
	// ChangeUIDL gives the message that came with the unique-id from the unique-id to: when
	// the server that it came from has given it one since. Not for a maildrop that clients
	// use here. ErrNotFound, ErrExists when a message of the maildrop has to or may get it,
	// ErrInUse when a session has the maildrop.
	ChangeUIDL(account AccountID, from, to string) error
	// Remove deletes messages of a maildrop in one synced step, as Lock.Expunge does: for
	// operators. ErrInUse when a session has the maildrop.
	Remove(account AccountID, ids []MessageID) error
	// Usage is the number of messages in the maildrop and their octets (Entry.Octets).
	Usage(account AccountID) (messages, octets int64, err error)
}

// Lock is a maildrop held by one session.
type Lock interface {
	// List lists the oldest max messages of the maildrop. No body is read.
	List(max int) (*Listing, error)
	// Open opens a message of the maildrop for reading: ErrNotFound, ErrCorrupt. An
	// engine refuses a message after its body could not be read to its end once.
	Open(id MessageID) (Message, error)
	// Sequence is for many messages in order: it gives what Open gives, for less
	// each. The caller must close it soon: it pins files.
	Sequence() (Sequence, error)
	// Expunge deletes the messages in one synced, atomic step: all or none. They can be
	// undeleted for Retention.DeletedMail. ErrFenced when the lock was lost.
	Expunge(ids []MessageID) error
	// Purge is Expunge of what is not to be undeleted.
	Purge(ids []MessageID) error
	// Release gives the maildrop back. Never blocks; calling it again does nothing.
	Release()
}

// Message is a stored message, open for reading, used by one goroutine at a time.
type Message interface {
	// Entry is the message's entry in the maildrop.
	Entry() Entry
	// Next returns the next piece of the body in wire form, at most MaxPiece
	// octets, which stays as it is until the next call of Next or Close; io.EOF
	// after the last one, ErrCorrupt when it is not what was stored.
	Next() ([]byte, error)
	// Close frees what Next returned.
	Close()
}

// Sequence reads whole messages of a maildrop in ascending order of their ids, used
// by one goroutine at a time.
type Sequence interface {
	// Append appends the message, its trace and its body in wire form, to dst and
	// returns the result. It needs no more room than dst has: io.ErrShortBuffer when
	// the message does not fit. Other errors are as from Open and Message.Next. With
	// an error dst is returned as it was, though there may be octets after it.
	// The entry's Trace may be used until the next call.
	Append(dst []byte, id MessageID) ([]byte, Entry, error)
	Close()
}

// MaxPiece is the most that one call of Message.Next returns.
const MaxPiece = 64 << 10

// Entry is one message of one maildrop, without its body.
type Entry struct {
	ID      MessageID
	Arrival time.Time
	// Trace comes before the body; see Recipient.Trace.
	Trace []byte
	// UIDL is the unique-id that the message came with; empty: it has its id.
	UIDL []byte
	// Wire is the body's octets in wire form, Size the same without stuffed dots.
	Wire, Size int64
}

// Octets is the size of the message as POP3 and SMTP count it: trace and body,
// CRLF as two octets, without stuffed dots and terminator.
func (e Entry) Octets() int64 { return int64(len(e.Trace)) + e.Size }

// View is a snapshot of a maildrop.
type View interface {
	// Next moves to the next message, in order of arrival or, of Browse, against it:
	// false after the last one, or on an error that Err returns.
	Next() bool
	// Open opens the message that Next moved to. Close it before the next Next.
	Open() (Message, error)
	Err() error
	Close()
}

// Health is the state of a store at one moment.
type Health struct {
	// Err is nil while the store takes mail, else why it doesn't: ErrFull,
	// ErrTemporary (the writer is stalled) or ErrFailed.
	Err error
	// FreeBytes is the room on the disk of the store, less its floor; may be negative.
	FreeBytes int64
	// InFlight is how many deliveries wait for their sync.
	InFlight int64
}

// Fault is one thing that Check found wrong.
type Fault struct {
	Account AccountID // 0: of the store as a whole
	Message MessageID // 0: of the account as a whole
	Text    string    // what is wrong and what follows from it
}

// CheckSummary is what Check has read.
type CheckSummary struct {
	Accounts, Messages, Queued, Bodies, Octets int64
	Deleted, Removed                           int64 // deleted messages and removed accounts that are kept
	Faults                                     int64
}
