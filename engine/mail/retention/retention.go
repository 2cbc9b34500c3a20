package retention

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"postrider/storage"
)

// Store is what the chore needs of the store.
type Store interface {
	SetRetention(r storage.Retention)
	Account(id storage.AccountID) (storage.Account, error)
	Accounts(f func(storage.Account) bool) error
	Purge() (storage.Purged, error)
	Expire(account storage.AccountID) (storage.Expired, error)
}

// How often things are looked for; and how long the chore rests after a step, as a multiple
// of what the step took.
const (
	purgeEvery  = 10 * time.Second
	expireEvery = time.Hour
	busyEvery   = time.Minute
	rests       = 2
	leastRest   = time.Millisecond
	mostRest    = time.Second
	tellEvery   = time.Minute // errors
)

// Stats count for the metrics.
type Stats struct {
	Expired, ExpiredOctets atomic.Int64 // messages that were too old
	Purged, PurgedOctets   atomic.Int64 // deleted messages that were kept until then
	Accounts               atomic.Int64 // removed accounts that were kept until then
}

// Chore deletes what is over its time.
type Chore struct {
	Stats Stats

	store   Store
	log     *slog.Logger
	set     atomic.Pointer[storage.Retention]
	changed chan struct{} // Configure was called
	stop    context.CancelFunc
	ended   chan struct{}
	told    time.Time           // when an error was logged
	busy    []storage.AccountID // maildrops that were open
}

// New makes a Chore, and sets the times of the store.
func New(store Store, r storage.Retention, log *slog.Logger) *Chore {
	c := &Chore{store: store, log: log, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	c.Configure(r)
	return c
}

// Configure replaces the times. What is over the new ones is looked for at once.
func (c *Chore) Configure(r storage.Retention) {
	c.set.Store(&r)
	c.store.SetRetention(r)
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Settings are the times that Configure has set last.
func (c *Chore) Settings() *storage.Retention { return c.set.Load() }

// Start begins. End waits for the step that is under way, if Start was called.
func (c *Chore) Start() {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.run(ctx)
}

// End: see Start.
func (c *Chore) End() {
	if c.stop != nil {
		c.stop()
		<-c.ended
	}
}

func (c *Chore) run(ctx context.Context) {
	defer close(c.ended)
	purge, expire, busy := time.NewTicker(purgeEvery), time.NewTicker(expireEvery), time.NewTicker(busyEvery)
	defer purge.Stop()
	defer expire.Stop()
	defer busy.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
			c.purge(ctx)
			c.expireAll(ctx)
		case <-purge.C:
			c.purge(ctx)
		case <-expire.C:
			c.expireAll(ctx)
		case <-busy.C:
			c.expire(ctx, c.busy)
		}
	}
}

// purge deletes what is kept and over its time.
func (c *Chore) purge(ctx context.Context) {
	var mail storage.Quota
	early := false
	for ctx.Err() == nil {
		begin := time.Now()
		p, err := c.store.Purge()
		mail.Messages += p.Mail.Messages
		mail.Octets += p.Mail.Octets
		early = early || p.Early
		for _, a := range p.Accounts {
			c.Stats.Accounts.Add(1)
			c.log.Info("removed account purged", "account", a.Name+"@"+a.Domain, "removed", a.Removed.UTC().Format(time.RFC3339), "messages", a.Holds.Messages, "size", a.Holds.Octets)
		}
		if err != nil {
			c.failed(err)
		}
		if err != nil || !p.More {
			break
		}
		rest(ctx, time.Since(begin))
	}
	if mail.Messages > 0 {
		c.Stats.Purged.Add(mail.Messages)
		c.Stats.PurgedOctets.Add(mail.Octets)
		if early {
			c.log.Warn("deleted mail purged before its time: the disk is almost full", "messages", mail.Messages, "size", mail.Octets)
			return
		}
		c.log.Info("deleted mail purged", "messages", mail.Messages, "size", mail.Octets)
	}
}

// expireAll visits the maildrops in which mail expires.
func (c *Chore) expireAll(ctx context.Context) {
	all := c.set.Load().Mail
	var ids []storage.AccountID
	err := c.store.Accounts(func(a storage.Account) bool {
		if a.ExpiresAfter(all) > 0 {
			ids = append(ids, a.ID)
		}
		return ctx.Err() == nil
	})
	if err != nil {
		c.failed(err)
	}
	c.expire(ctx, ids)
}

// visits is how many maildrops are visited before the chore rests.
const visits = 100

// expire deletes what is too old in maildrops, and notes which of them were open.
func (c *Chore) expire(ctx context.Context, ids []storage.AccountID) {
	var busy []storage.AccountID
	begin := time.Now()
	for i, id := range ids {
		if ctx.Err() != nil {
			return
		}
		switch err := c.expireOne(ctx, id); {
		case errors.Is(err, storage.ErrInUse), errors.Is(err, storage.ErrFenced):
			busy = append(busy, id)
		case err != nil && !errors.Is(err, storage.ErrNotFound): // it was removed meanwhile
			c.failed(err)
		}
		if i%visits == visits-1 {
			rest(ctx, time.Since(begin))
			begin = time.Now()
		}
	}
	c.busy = busy
}

func (c *Chore) expireOne(ctx context.Context, id storage.AccountID) error {
	var gone storage.Quota
	defer func() {
		if gone.Messages == 0 {
			return
		}
		c.Stats.Expired.Add(gone.Messages)
		c.Stats.ExpiredOctets.Add(gone.Octets)
		name := ""
		if a, err := c.store.Account(id); err == nil {
			name = a.Name + "@" + a.Domain
		}
		c.log.Info("mail expired", "account", name, "messages", gone.Messages, "size", gone.Octets)
	}()
	for {
		begin := time.Now()
		x, err := c.store.Expire(id)
		gone.Messages += x.Mail.Messages
		gone.Octets += x.Mail.Octets
		if err != nil || !x.More || ctx.Err() != nil {
			return err
		}
		rest(ctx, time.Since(begin))
	}
}

// rest lets others work after a step.
func rest(ctx context.Context, step time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(min(max(rests*step, leastRest), mostRest)):
	}
}

// failed logs an error, now and then.
func (c *Chore) failed(err error) {
	if errors.Is(err, storage.ErrClosed) || time.Since(c.told) < tellEvery {
		return
	}
	c.told = time.Now()
	c.log.Error("what is over its time can't be deleted; it is tried again", "err", err)
}
