package storage

import "context"

// Await waits while more than mark octets of a draft's full chunks are not taken by the
// store's writer, so that a message that is larger than memory can be appended. d is a
// Draft, or what has one and does the same. The error
// is that of ctx, and comes only when there was something to wait for; then the draft can
// be discarded and nothing else.
func Await(ctx context.Context, d interface {
	Backlog() int64
	Notify(mark int64, f func())
}, mark int64) error {
	if d.Backlog() <= mark {
		return nil
	}
	taken := make(chan struct{})
	d.Notify(mark/2, func() { close(taken) })
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Put delivers d and waits for the outcome, which is what d.Done would get. Put sets
// d.Done. When ctx has ended already, Put discards the draft and stores nothing. A
// delivery that the store has can't be taken back, so from then on Put waits for its
// outcome, whatever ctx does.
func Put(ctx context.Context, in Inbox, d *Delivery) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		d.Draft.Discard()
		return Receipt{}, err
	}
	type outcome struct {
		r   Receipt
		err error
	}
	done := make(chan outcome, 1)
	d.Done = func(_ *Delivery, r Receipt, err error) { done <- outcome{r, err} }
	in.Deliver(d)
	o := <-done
	return o.r, o.err
}
