package storage

import "time"

// Retention is how long mail and what was deleted stay. It counts for all of what is there:
// when a time becomes shorter, what is over it goes at the next Purge or Expire.
type Retention struct {
	// DeletedMail is how long a deleted message can be undeleted; 0: not at all. While the
	// disk has no room for new mail, deleted mail goes before its time, the oldest first.
	DeletedMail     time.Duration
	RemovedAccounts time.Duration // how long a removed account can be restored; 0: not at all
	// Mail is how long a message stays in a maildrop whose account has no Expire of its own;
	// 0: for ever.
	Mail time.Duration
}

// Keeper has deleted mail and removed accounts until their time is over. They are in no
// maildrop and no listing, and no quota counts them. Times of what is kept go by time as it
// passes: a step of the machine's clock makes nothing go early, and over a start they age by
// a day at most while the server was not running.
type Keeper interface {
	// SetRetention sets the times. What is deleted while DeletedMail is 0 is gone at once.
	// Never blocks.
	SetRetention(r Retention)
	// Kept counts what is kept. Never blocks.
	Kept() Kept
	// Deleted calls f for each deleted message of an account that is kept, in the order of
	// arrival, until f returns false. No body is read. The account may be a removed one.
	Deleted(account AccountID, f func(DeletedMessage) bool) error
	// Undelete brings deleted messages back into the maildrop, at the place, with the octets
	// and the unique-id that they had; messages that are not kept are skipped. It takes no
	// notice of the quota. It works in synced steps, each of which is whole, and returns what
	// is back. A session that has the maildrop sees them after its next login.
	Undelete(account AccountID, ids []MessageID) ([]Undeleted, error)
	// RemovedAccounts calls f for each removed account, until f returns false.
	RemovedAccounts(f func(RemovedAccount) bool) error
	// RestoreAccount brings a removed account back under a name, with its mail, password and
	// limits: ErrNotFound, also for the domain, and for the name what AddAccount returns.
	RestoreAccount(id AccountID, name, domain string) error
	// PurgeAccount deletes an account, or a removed one, with all its mail and deleted mail,
	// for good.
	PurgeAccount(id AccountID) error
	// Purge deletes a bounded number of what is over its time; More: there may be more.
	Purge() (Purged, error)
	// MailExpiry is the shortest time that a message stays in a maildrop, of any account; 0:
	// they stay for ever. differs: it is not the same for all accounts. Never blocks.
	MailExpiry() (least time.Duration, differs bool)
	// Expire deletes, as Lock.Expunge does, a bounded number of messages of a maildrop that
	// are older than the account's Expire or Retention.Mail; More: there may be more. The age
	// of a message begins when it came into this store, and again when it was undeleted.
	// ErrInUse when a session has the maildrop.
	Expire(account AccountID) (Expired, error)
}

// Kept is how much is kept.
type Kept struct {
	Deleted  Quota // deleted messages
	Removed  Quota // what the maildrops of removed accounts hold
	Accounts int64 // removed accounts
}

// DeletedMessage is a deleted message that is kept.
type DeletedMessage struct {
	Entry
	Deleted time.Time
	Until   time.Time // as Retention is now
}

// Undeleted is a message that is back in its maildrop.
type Undeleted struct {
	ID MessageID
	// UIDL is another unique-id than the message had, which another message has got
	// meanwhile; "": it has its own.
	UIDL string
	// There: nothing was brought back, since the maildrop has a message with this unique-id
	// and these octets.
	There bool
}

// RemovedAccount is a removed account that is kept.
type RemovedAccount struct {
	Account
	Removed time.Time
	Until   time.Time // as Retention is now
	Holds   Quota
}

// Purged is what a Purge has deleted.
type Purged struct {
	Mail     Quota
	Early    bool // Mail went before its time, to make room: see DeletedMail
	Accounts []RemovedAccount
	More     bool
}

// Expired is what an Expire has deleted.
type Expired struct {
	Mail Quota
	More bool
}
