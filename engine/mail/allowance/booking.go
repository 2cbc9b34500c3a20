package allowance

import (
	"time"

	"postrider/storage"
)

// Booking is what a message on its way has taken of its account's allowance. The zero
// Booking has taken nothing. It belongs to one goroutine at a time.
type Booking struct {
	book                 *Book
	account              storage.AccountID
	messages, recipients int
	at                   time.Time
}

// Begin books a message of the account, or returns why not; then nothing is booked.
func (b *Book) Begin(a storage.AccountID, now time.Time) (Booking, *Refusal) {
	if r := b.Message(a, now); r != nil {
		return Booking{}, r
	}
	return Booking{book: b, account: a, messages: 1, at: now}, nil
}

// Recipient books a recipient of the message, or returns why not.
func (k *Booking) Recipient() *Refusal {
	r := k.book.Recipient(k.account, k.at)
	if r == nil {
		k.recipients++
	}
	return r
}

// Refused gives back recipients that don't get the message.
func (k *Booking) Refused(recipients int) {
	k.recipients -= recipients
	k.book.Return(k.account, k.at, 0, recipients)
}

// Cancel gives back all that the message has taken: it was not sent.
func (k *Booking) Cancel() {
	if k.book != nil {
		k.book.Return(k.account, k.at, k.messages, k.recipients)
	}
	*k = Booking{}
}
