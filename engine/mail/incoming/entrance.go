package incoming

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"postrider/engine/host/history"
	"postrider/engine/host/latency"
	"postrider/engine/host/otlp"
	"postrider/engine/mail/dkim"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Entrance has the settings and the rooms that all messages share. It is safe for use by
// many goroutines.
type Entrance struct {
	Inbox         storage.Inbox
	Drafts        storage.Drafts // reads drafts of Inbox, for conversions; nil: no conversions
	Router        *router.Router
	Hostname      string // this host's name in Received and Message-ID
	DefaultDomain string // the domain of addresses without one
	MaxSize       int64  // in octets; 0: no limit
	MaxRecipients int    // 0: no limit; Submit only, as are MaxHops, Reserve and MaxBacklog
	MaxHops       int    // Received fields of a message; 0: no limit
	// MaxHeld is the longest header that is checked, and the backlog of a draft during a
	// conversion.
	MaxHeld int64
	// Keys sign messages from our own users, by the domain of the From field; nil:
	// no signatures.
	Keys *dkim.Keys
	// Capture is the account that gets all mail in capture mode; 0: no capture mode.
	Capture storage.AccountID

	CompleteHeader  bool // complete the header of relayed mail from relay.networks (relay.complete_header)
	AnySender       bool // an account may write under any address (submission.any_sender)
	UnsignedForeign bool // a foreign From is not signed, instead of refused

	// Convert runs work on a goroutine of a bounded pool, or full when there is no room. Place
	// does the same in another pool; work that is last gives way to all other work.
	Convert func(work, full func())
	Place   func(last bool, work, full func())
	// Expect is storage.Store's; nil: the store is not told what to expect.
	Expect func(n int)
	Log    *slog.Logger // nil: slog.Default
	// History keeps what becomes of messages that Submit, Write and Copy store; a caller of
	// Finish adds its own event, by Message.Keep. nil: none is kept.
	History *history.Log

	// Took gets the time of each message in the store, from the end of its steps to its
	// Receipt. Delay gets the time from its arrival until it is in a maildrop, for each
	// maildrop. nil: none is kept.
	Took, Delay *latency.Histogram
	// Spans gets the way of some messages; nil: of none.
	Spans *otlp.Exporter

	// NearQuota is told of quotas that a message has almost used up, on a goroutine of the
	// store; it does not block. nil: no call.
	NearQuota func([]storage.NearQuota)

	// Reserve books memory before a message takes it, and returns false when there is not
	// so much; nil: memory is not counted.
	Reserve func(octets int64) bool
	// MaxBacklog is how many octets may be in memory before a message's reader waits;
	// 0: 4 MiB.
	MaxBacklog int64
}

// hasKeys reports whether there is a key that signs messages.
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
