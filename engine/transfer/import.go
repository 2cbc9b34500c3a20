package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postrider/codec/dot"
	"postrider/storage"
)

const (
	maxUnderWay = 64      // deliveries that wait for their sync
	maxBacklog  = 4 << 20 // octets that the store's writer has still to take
)

// item is one message of the files.
type item struct {
	text    io.Reader // plain form, any line ends; good until the next item
	octets  int64     // about; 0: unknown
	arrival time.Time // zero: unknown
	where   string    // for errors
}

// items gives the messages of the files in order; io.EOF after the last one.
type items interface {
	next() (item, error)
	close()
}

// Import stores the messages at path, a file or folder as Export makes them or
// the folder that such a one is in, in the account. The count is of what the
// store has confirmed, on an error too.
func Import(ctx context.Context, to storage.Inbox, account storage.Account, path string, o Options) (Count, error) {
	in, err := open(path, account, o)
	if err != nil {
		return Count{}, err
	}
	defer in.close()
	im := importer{to: to, account: account.ID, o: o, results: make(chan result, maxUnderWay)}
	err = im.all(ctx, in)
	err = errors.Join(err, im.settle())
	if err != nil {
		err = fmt.Errorf("%w; %d messages were stored before", err, im.count.Messages)
	}
	return im.count, err
}

// importer is one import under way, on one goroutine. Results come from the
// store's goroutines through a channel that has room for all that are under way.
type importer struct {
	to       storage.Inbox
	account  storage.AccountID
	o        Options
	results  chan result
	underWay int
	count    Count
	buf      [64 << 10]byte
	wire     []byte // scratch of fill
}

type result struct {
	octets int64
	where  string
	err    error
}

func (im *importer) all(ctx context.Context, in items) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		it, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for im.underWay == maxUnderWay {
			if err := im.wait(); err != nil {
				return err
			}
		}
		if err := im.one(ctx, it); err != nil {
			return fmt.Errorf("%s: %w", it.where, err)
		}
	}
}

// settle waits for all that is under way.
func (im *importer) settle() error {
	var first error
	for im.underWay > 0 {
		if err := im.wait(); first == nil {
			first = err
		}
	}
	return first
}

func (im *importer) wait() error {
	r := <-im.results
	im.underWay--
	if r.err != nil {
		return fmt.Errorf("%s: %w", r.where, r.err)
	}
	im.count.Messages++
	im.count.Octets += r.octets
	im.o.progress(im.count)
	return nil
}

// one hands one message to the store.
func (im *importer) one(ctx context.Context, it item) error {
	if err := im.to.Admit(it.octets); err != nil {
		return err
	}
	draft := im.to.NewDraft(it.octets)
	size, err := im.fill(ctx, draft, it.text)
	if err != nil {
		draft.Discard()
		return err
	}
	arrival := it.arrival
	if arrival.IsZero() {
		arrival = time.Now()
	}
	im.underWay++
	im.to.Deliver(&storage.Delivery{
		Draft:      draft,
		Arrival:    arrival,
		Size:       size,
		Recipients: []storage.Recipient{{Account: im.account}},
		Done: func(d *storage.Delivery, _ storage.Receipt, err error) {
			im.results <- result{d.Size, it.where, err}
		},
	})
	return nil
}

// fill writes text into the draft in wire form and returns its Size.
func (im *importer) fill(ctx context.Context, draft storage.Draft, text io.Reader) (int64, error) {
	var z dot.Normalizer
	for {
		n, err := text.Read(im.buf[:])
		im.wire = z.Append(im.wire[:0], im.buf[:n])
		if err == io.EOF {
			im.wire = z.End(im.wire)
		}
		draft.Append(im.wire)
		if err == io.EOF {
			return z.Counts().Size, nil
		}
		if err != nil {
			return 0, err
		}
		if err := drain(ctx, draft); err != nil {
			return 0, err
		}
	}
}

// drain waits while the store's writer is behind.
func drain(ctx context.Context, draft storage.Draft) error {
	for draft.Backlog() > maxBacklog {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}
