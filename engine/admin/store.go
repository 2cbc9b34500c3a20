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
	// View and Usage are those of storage.Maildrops.
	View(account storage.AccountID) (storage.View, error)
	Usage(account storage.AccountID) (messages, octets int64, err error)
	// Check and Close are those of storage.Store.
	Check(ctx context.Context, report func(storage.Fault)) (storage.CheckSummary, error)
	Close() error
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
}
