package incoming

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"postrider/engine/mail/dkim"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Entrance is what messages have in common: where they go, and what they may be. Many
// goroutines may use it.
type Entrance struct {
	Inbox         storage.Inbox
	Drafts        storage.Drafts // of Inbox, for messages that are converted; nil: there are none
	Router        *router.Router
	Hostname      string // of this host, for Received and Message-ID
	DefaultDomain string // of addresses without one
	MaxSize       int64  // octets of a message; 0: no limit
	MaxRecipients int    // 0: no limit; Submit only, as are MaxHops, Reserve and MaxBacklog
	MaxHops       int    // Received fields of a message; 0: no limit
	// MaxHeld is the longest header that is looked at, and what a draft that is converted
	// may have in memory.
	MaxHeld int64
	// Keys sign the messages of our own people, by the domain of the From field; nil:
	// nothing is signed.
	Keys *dkim.Keys
	// Capture is the account that gets all mail in capture mode; 0: there is none.
	Capture storage.AccountID

	CompleteHeader  bool // of mail that leaves, from networks that may relay (relay.complete_header)
	AnySender       bool // an account may write under any address (submission.any_sender)
	UnsignedForeign bool // and under a foreign one without a signature, instead of not at all

	// Convert runs work on a goroutine of a bounded pool, or full when there is no room.
	Convert func(work, full func())
	Log     *slog.Logger // nil: slog.Default

	// NearQuota is told of quotas that a message has almost used up, on a goroutine of the
	// store; it does not block. nil: no call.
	NearQuota func([]storage.NearQuota)

	// Reserve is asked before a message takes so much more memory; nil: it is not
	// counted.
	Reserve func(octets int64) bool
	// MaxBacklog is what a message may have in memory before its reader waits; 0: 4 MiB.
	MaxBacklog int64
}

// hasKeys tells whether there is a key that signs messages.
func (in *Entrance) hasKeys() bool { return in.Keys != nil && !in.Keys.None() }

func (in *Entrance) log() *slog.Logger {
	if in.Log == nil {
		return slog.Default()
	}
	return in.Log
}

// panicked logs a panic of a step and returns it as an error.
func (in *Entrance) panicked(where string, p any) error {
	err := fmt.Errorf("%w: BUG: panic in %s: %v", storage.ErrTemporary, where, p)
	in.log().Error(err.Error(), "stack", string(debug.Stack()))
	return err
}
