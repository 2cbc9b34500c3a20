package storage

import "errors"

// The errors of a store. Every error that a method returns is one of these, or
// wraps one of these with the words for the operator: test with errors.Is.
// Each maps to one reply of the protocols.
var (
	// ErrNotFound: no such account, domain, alias or message.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is taken.
	ErrExists = errors.New("exists already")
	// ErrInvalid: the argument can't be stored; the wrapping text says why.
	ErrInvalid = errors.New("invalid")
	// ErrInUse: another session holds the maildrop (POP3: [IN-USE]).
	ErrInUse = errors.New("maildrop in use")
	// ErrOverQuota: the maildrop has no room for the message (SMTP: 452 4.2.2).
	ErrOverQuota = errors.New("over quota")
	// ErrFull: the disk is below its free-space floor (SMTP: 452 4.3.1). What is
	// stored stays readable; the store accepts again by itself.
	ErrFull = errors.New("disk full")
	// ErrFenced: the lock or lease was lost; nothing was done.
	ErrFenced = errors.New("lock lost")
	// ErrCorrupt: what the disk gave back is not what was written.
	ErrCorrupt = errors.New("corrupt")
	// ErrTemporary: not now; nothing was done that lasts (SMTP: 451 4.3.0).
	ErrTemporary = errors.New("temporary failure")
	// ErrFailed: the store can write no more until it is opened again, for
	// example after a failed sync. Nothing that got a Receipt is lost.
	ErrFailed = errors.New("store failed")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store closed")
)
