package storage

import (
	"context"
	"errors"
	"testing"
)

// inbox is a store of one message whose writer takes octets when the test says so.
type inbox struct {
	backlog   int64
	mark      int64
	notify    func()
	discarded bool
	deliver   func(*Delivery)
}

func (b *inbox) Admit(int64) error           { return nil }
func (b *inbox) NewDraft(int64) Draft        { return b }
func (b *inbox) Deliver(d *Delivery)         { b.deliver(d) }
func (b *inbox) ID() MessageID               { return 7 }
func (b *inbox) Append(run []byte)           { b.backlog += int64(len(run)) }
func (b *inbox) Backlog() int64              { return b.backlog }
func (b *inbox) Notify(mark int64, f func()) { b.mark, b.notify = mark, f; b.deliver(nil) }
func (b *inbox) Discard()                    { b.discarded = true }

func TestAwaitWaitsForTheWriterAndNoLongerThanItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	b := &inbox{backlog: 101}
	b.deliver = func(*Delivery) { go b.notify() }
	if err := Await(ctx, b, 100); err != nil || b.mark != 50 {
		t.Error(err, b.mark)
	}
	b.deliver = func(*Delivery) { cancel() } // the writer takes nothing more
	if err := Await(ctx, b, 100); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.backlog, b.deliver = 100, nil
	if err := Await(ctx, b, 100); err != nil {
		t.Error("there was nothing to wait for:", err)
	}
}

func TestPutKnowsWhetherTheMessageIsStored(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	b := &inbox{}
	b.deliver = func(d *Delivery) {
		cancel() // too late: the store has it
		go d.Done(d, NewReceipt(d.Draft.ID()), nil)
	}
	if r, err := Put(ctx, b, &Delivery{Draft: b}); err != nil || r.ID() != 7 || b.discarded {
		t.Error(r, err, b.discarded)
	}
	b.deliver = func(*Delivery) { t.Error("delivered for a context that had ended") }
	if r, err := Put(ctx, b, &Delivery{Draft: b}); !errors.Is(err, context.Canceled) || r.ID() != 0 || !b.discarded {
		t.Error(r, err, b.discarded)
	}
	b.deliver = func(d *Delivery) { d.Done(d, Receipt{}, ErrFull) }
	if r, err := Put(context.Background(), b, &Delivery{Draft: b}); !errors.Is(err, ErrFull) || r.ID() != 0 {
		t.Error(r, err)
	}
}
