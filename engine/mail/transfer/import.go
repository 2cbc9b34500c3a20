package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
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
	alone   bool      // in a file of its own, which may be damaged without the others
	uidl    string    // unique-id that its clients know; "": none
	early   string    // the one of its file's name, if uidl can't be kept; "": none
}

// items gives the messages of the files in order; io.EOF after the last one.
type items interface {
	next() (item, error)
	close()
}

// Result is what an import did.
type Result struct {
	Count           // that the store has confirmed
	Passed []Passed // what was not imported, and what may be wrong
}

// Import stores the messages at path, a file or folder as Export makes them or
// the folder that it is in, in the account. The result is right on an error
// too. ErrData means that some of it is not mail in the format; the mail was
// imported as far as it could be told apart.
func Import(ctx context.Context, to storage.Inbox, account storage.Account, path string, o Options) (Result, error) {
	var r report
	in, err := open(path, account, o, &r)
	if err != nil {
		return Result{}, err
	}
	defer in.close()
	return importAll(ctx, to, account, in, o, &r)
}

// importAll stores the items.
func importAll(ctx context.Context, to storage.Inbox, account storage.Account, in items, o Options, r *report) (Result, error) {
	im := importer{to: to, account: account.ID, o: o, report: r, scratch: scratches.Get().(*scratch), results: make(chan result, maxUnderWay), beyond: make(map[int64]bool)}
	defer scratches.Put(im.scratch)
	err := im.all(ctx, in)
	err = errors.Join(err, im.settle())
	if err != nil {
		err = fmt.Errorf("%w; %s", err, im.stored())
	}
	return Result{im.count, r.list}, errors.Join(err, r.err())
}

// Copy stores the messages of another maildrop in the account, with the unique-ids that
// their entries have.
func Copy(ctx context.Context, to storage.Inbox, account storage.Account, from storage.View, o Options) (Result, error) {
	return importAll(ctx, to, account, &viewItems{view: from}, o, new(report))
}

// viewItems are the messages of a maildrop.
type viewItems struct {
	view storage.View
	open storage.Message // nil: none
	n    int
}

func (v *viewItems) close() {
	if v.open != nil {
		v.open.Close()
	}
	v.open = nil
}

func (v *viewItems) next() (item, error) {
	v.close()
	if !v.view.Next() {
		return item{}, cmp.Or(v.view.Err(), io.EOF)
	}
	v.n++
	m, err := v.view.Open()
	if err != nil {
		return item{}, fmt.Errorf("message %d: %w", v.n, err)
	}
	v.open = m
	e := m.Entry()
	return item{text: storage.NewPlain(m), octets: e.Octets(), arrival: e.Arrival, where: fmt.Sprintf("message %d", v.n), uidl: string(e.UIDL)}, nil
}

// importer is one import under way, on one goroutine. Results come from the
// store's goroutines through a channel that has room for all that are under way.
type importer struct {
	to       storage.Inbox
	account  storage.AccountID
	o        Options
	report   *report
	results  chan result
	begun    int64 // deliveries
	underWay int
	count    Count
	first    int64          // so many were stored without a gap
	beyond   map[int64]bool // numbers that were stored after that
	*scratch
}

// scratch is memory of fill.
type scratch struct {
	buf  [64 << 10]byte
	wire []byte
}

// scratches are for imports of many small maildrops.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

type result struct {
	n      int64 // number of the delivery, from 1
	octets int64
	where  string
	own    bool // it has not the unique-id that it was to have
	err    error
}

// stored describes which messages were stored before an import failed.
func (im *importer) stored() string {
	switch {
	case im.count.Messages == 0:
		return "nothing was stored"
	case len(im.beyond) > 0:
		return fmt.Sprintf("the first %d messages were stored, and %d after the one that was not", im.first, len(im.beyond))
	case im.first == 1:
		return "the first message was stored"
	}
	return fmt.Sprintf("the first %d messages were stored", im.first)
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
		err = im.one(ctx, it)
		switch {
		case err == nil:
		case it.alone && errors.Is(err, ErrData):
			im.report.add(unreadable, fmt.Sprintf("%s: %v", it.where, err))
		default:
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
	switch {
	case errors.Is(r.err, storage.ErrExists):
		im.report.add(present, r.where)
	case r.err != nil:
		return fmt.Errorf("%s: %w", r.where, r.err)
	default:
		im.count.Messages++
		im.count.Octets += r.octets
	}
	if r.own {
		im.report.add(otherUIDL, r.where)
	}
	im.beyond[r.n] = true
	for im.beyond[im.first+1] {
		im.first++
		delete(im.beyond, im.first)
	}
	im.o.progress(im.count)
	return nil
}

// one hands one message to the store.
func (im *importer) one(ctx context.Context, it item) error {
	if err := im.to.Admit(it.octets); err != nil {
		return err
	}
	if it.uidl != "" && !storage.ValidUIDL(it.uidl) {
		im.report.add(badUIDL, it.where)
		it.uidl, it.early = it.early, ""
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
	im.begun++
	n := im.begun
	im.to.Deliver(&storage.Delivery{
		Draft:      draft,
		Arrival:    arrival,
		Size:       size,
		Recipients: []storage.Recipient{{Account: im.account, UIDL: it.uidl, Else: it.early}},
		Done: func(d *storage.Delivery, _ storage.Receipt, err error) {
			im.results <- result{n, d.Size, it.where, err == nil && d.Recipients[0].UIDL != it.uidl, err}
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
		if err := storage.Await(ctx, draft, maxBacklog); err != nil {
			return 0, err
		}
	}
}
