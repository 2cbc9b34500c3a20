package admin

import (
	"context"
	"time"

	"postrider/storage"
)

// Store is what commands need of a store: one that they opened (storage.Store)
// or the one of a running server (Client).
type Store interface {
	storage.Directory
	storage.Inbox
	Queue
	// View, EachEntry, ChangeUIDL, Remove and Usage are as in storage.Maildrops.
	View(account storage.AccountID) (storage.View, error)
	EachEntry(account storage.AccountID, f func(storage.Entry) bool) error
	ChangeUIDL(account storage.AccountID, from, to string) error
	Remove(account storage.AccountID, ids []storage.MessageID) error
	Usage(account storage.AccountID) (messages, octets int64, err error)
	// Deleted, Undelete, RemovedAccounts, RestoreAccount and PurgeAccount are as in
	// storage.Keeper.
	Deleted(account storage.AccountID, f func(storage.DeletedMessage) bool) error
	Undelete(account storage.AccountID, ids []storage.MessageID) ([]storage.Undeleted, error)
	RemovedAccounts(f func(storage.RemovedAccount) bool) error
	RestoreAccount(id storage.AccountID, name, domain string) error
	PurgeAccount(id storage.AccountID) error
	// Checkpoint, Check and Close are as in storage.Store.
	Checkpoint() (dir string, remove func() error, err error)
	Check(ctx context.Context, report func(storage.Fault)) (storage.CheckSummary, error)
	Close() error
}

// Queue is the operator's part of storage.Queue; what a scheduler does stays with
// the process that has the store open.
type Queue interface {
	OpenQueued(e *storage.QueueEntry) (storage.Message, error)
	QueuedEntry(id storage.EntryID) (*storage.QueueEntry, error)
	Queued(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error
	MoveQueued(ids []storage.EntryID, m storage.QueueMove) (int, error)
	QueueTotal() (entries, octets int64)
	History(id storage.MessageID, f func(storage.Record) bool) error
}

// Relay is what can be asked of the scheduler of a running server only. Its
// methods may be called from any goroutine.
type Relay interface {
	// Bounce returns the entries to their senders with reason, now. It returns the
	// entries that were there, also with an error.
	Bounce(ids []storage.EntryID, reason string) (returned []storage.EntryID, err error)
	// Flush ends all waiting for a destination, also a dead one; "": for all of them.
	// Mail that is due is tried at once.
	Flush(domain string)
	// RelayStatus returns what the relay is doing.
	RelayStatus() RelayStatus
}

// RelayStatus is what a relay is doing at one moment.
type RelayStatus struct {
	Sessions int `json:"sessions"` // connections to other hosts
	Awake    int `json:"awake"`    // destinations that are being looked at
	// Dead are the destinations that none is sent to for now.
	Dead []DeadDestination `json:"dead"`
	// Waiting are the destinations with mail that is due and no free connection.
	Waiting []WaitingDestination `json:"waiting,omitempty"`
}

// WaitingDestination is a destination that waits for others to end.
type WaitingDestination struct {
	Destination string `json:"destination"`
	Reason      string `json:"reason"`
}

// DeadDestination is a destination that could not be reached.
type DeadDestination struct {
	Destination string    `json:"destination"`
	RetryAt     time.Time `json:"retry_at"`
	Reason      string    `json:"reason"`
}

// Status is how a server is, for people and for monitoring.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Health is "ok", or why no mail is taken.
	Health string   `json:"health"`
	SMTP   []string `json:"smtp"` // addresses with ports
	POP3   []string `json:"pop3"`
	HTTP   []string `json:"http"`
	// Restarted tells of the process before this one, if an operator had it replaced.
	Restarted *Restarted `json:"restarted,omitempty"`
	*Details

	Listening []Listener `json:"-"` // listeners of HTTP, for Details
	Settings  Settings   `json:"-"` // for GET /settings
}
