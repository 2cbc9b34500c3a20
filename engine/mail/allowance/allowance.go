package allowance

import (
	"sync"
	"time"

	"postrider/engine/edge/limit"
	"postrider/storage"
)

// minutes is how many parts an hour has here.
const minutes = 60

// Limits are what one account may send in an hour; 0: as much as it likes.
type Limits struct{ Messages, Recipients int }

// Refusal tells that an account may not send more now.
type Refusal struct {
	What  string    // "messages" or "recipients"
	Limit int       // for an hour
	Again time.Time // when there is room for one more
}

// Book has the accounts that sent something lately. Any goroutine may use it.
type Book struct {
	passed func(from, to time.Time) time.Duration // time as it passes

	mu       sync.Mutex
	limits   Limits
	began    time.Time // when the first one came
	accounts limit.Recent[storage.AccountID, *hour]
	turned   int64 // the minute when accounts turned
}

// hour is what an account sent in each of the last minutes.
type hour struct {
	at    int64 // the last minute that was counted in, since 1970
	parts [minutes]struct{ messages, recipients uint32 }
}

// New makes an empty book.
func New(l Limits) *Book {
	return &Book{limits: l, passed: func(from, to time.Time) time.Duration { return to.Sub(from) }}
}

// Configure replaces the limits. What was sent in the last hour counts against the new ones.
func (b *Book) Configure(l Limits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits = l
}

// Limits returns the limits that count now.
func (b *Book) Limits() Limits {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limits
}

// steady is a time by a clock that knows no steps: after one back, an account that has
// sent to its limit would have to wait until the clock has caught up. b.mu is held.
func (b *Book) steady(now time.Time) time.Time {
	if b.began.IsZero() {
		b.began = now
	}
	return b.began.Round(0).Add(b.passed(b.began, now))
}

// Message books one message of the account, or returns why not.
func (b *Book) Message(a storage.AccountID, now time.Time) *Refusal {
	return b.take(a, now, 1, 0)
}

// Recipient books one recipient of the account, or returns why not.
func (b *Book) Recipient(a storage.AccountID, now time.Time) *Refusal {
	return b.take(a, now, 0, 1)
}

func (b *Book) take(a storage.AccountID, now time.Time, messages, recipients uint32) *Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limits == (Limits{}) {
		return nil
	}
	steady := b.steady(now)
	minute := steady.Unix() / 60
	b.turn(minute)
	h, ok := b.accounts.Get(a)
	if !ok {
		h = &hour{at: minute}
	}
	b.accounts.Set(a, h)
	h.advance(minute)
	var r *Refusal
	if messages > 0 {
		r = h.refusal("messages", b.limits.Messages, func(i int) uint32 { return h.parts[i].messages })
	} else {
		r = h.refusal("recipients", b.limits.Recipients, func(i int) uint32 { return h.parts[i].recipients })
	}
	if r != nil {
		r.Again = now.Add(r.Again.Sub(steady))
		return r
	}
	part := &h.parts[h.at%minutes]
	part.messages += messages
	part.recipients += recipients
	return nil
}

// refusal is why one more is too much, by what of gives for each part; nil: it isn't.
func (h *hour) refusal(what string, limit int, of func(part int) uint32) *Refusal {
	if limit == 0 {
		return nil
	}
	sum := 0
	for i := range minutes {
		sum += int(of(i))
	}
	if sum < limit {
		return nil
	}
	// The oldest minutes leave first: how many have to, until there is room?
	for m := h.at - minutes + 1; ; m++ {
		if sum -= int(of(int(m % minutes))); sum < limit {
			return &Refusal{what, limit, time.Unix((m+minutes)*60, 0)}
		}
	}
}

// advance forgets the minutes that are more than an hour before minute. A clock that
// goes back counts as one that has stopped.
func (h *hour) advance(minute int64) {
	for m := max(h.at+1, minute-minutes+1); m <= minute; m++ {
		h.parts[m%minutes].messages, h.parts[m%minutes].recipients = 0, 0
	}
	h.at = max(h.at, minute)
}

// Return takes back what was booked at a time and not sent.
func (b *Book) Return(a storage.AccountID, at time.Time, messages, recipients int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	minute := b.steady(at).Unix() / 60
	h, ok := b.accounts.Get(a)
	if !ok || minute <= h.at-minutes || minute > h.at {
		return
	}
	part := &h.parts[minute%minutes]
	part.messages -= min(part.messages, uint32(messages))
	part.recipients -= min(part.recipients, uint32(recipients))
}

// turn drops the accounts that sent nothing in the hour before the last hour, once in an hour.
func (b *Book) turn(minute int64) {
	for range min((minute-b.turned)/minutes, 2) { // after two, none is left
		b.accounts.Turn()
		b.turned = minute
	}
}
