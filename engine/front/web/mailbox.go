package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"postrider/engine/mail/entity"
	"postrider/storage"
)

// Mailbox is a maildrop to look at. Any goroutine may use it.
type Mailbox struct {
	Store   storage.Maildrops
	Account storage.AccountID
	// Row reads the row that a list has for a message; nil: made from the header.
	Row func(storage.Message) (Row, error)
	// ForGood: what is deleted can't be undeleted, whatever storage.Retention says.
	ForGood bool
	// Deleted is told of messages that Delete has deleted; nil: it is not told.
	Deleted func(ids []storage.MessageID)
}

// Row is a message in a list.
type Row struct {
	ID      storage.MessageID
	From    string // a name, or the address; never empty
	Address string // "": none that can be read
	Subject string // never empty
	To      string // recipients, where the list has them
	Files   bool   // it has attachments
	Arrival time.Time
	Octets  int64
}

// Listing is a part of a mailbox, newest first.
type Listing struct {
	Rows  []Row
	Total int64 // messages of the mailbox
	// More is the message to continue from; 0: there are no older ones.
	More storage.MessageID
	// Looked is how many messages a search has looked at.
	Looked int
	// Note is a remark about a search; "": none.
	Note string
}

const (
	pageRows  = 50      // rows of a list
	maxLooked = 2000    // messages that one search looks at
	maxSkip   = 1 << 24 // messages
)

// Page lists the rows of a page; 0 is the newest.
func (b Mailbox) Page(ctx context.Context, page int) (l Listing, err error) {
	if l.Total, _, err = b.Store.Usage(b.Account); err != nil {
		return l, err
	}
	v, err := b.Store.Browse(b.Account, storage.MaxMessageID)
	if err != nil {
		return l, err
	}
	defer v.Close()
	for range min(page*pageRows, maxSkip) {
		if ctx.Err() != nil || !v.Next() {
			return l, errors.Join(ctx.Err(), v.Err())
		}
	}
	for ctx.Err() == nil && v.Next() {
		row, err := b.row(v)
		if err != nil {
			return l, err
		}
		if len(l.Rows) == pageRows {
			l.More = row.ID
			break
		}
		l.Rows = append(l.Rows, row)
	}
	return l, errors.Join(ctx.Err(), v.Err())
}

// Search lists messages with all the words of query in their sender or subject, in any
// case, from the message from on to older ones. It looks at some thousands of them at
// most, and stops when a page is full.
func (b Mailbox) Search(ctx context.Context, query string, from storage.MessageID) (l Listing, err error) {
	if l.Total, _, err = b.Store.Usage(b.Account); err != nil {
		return l, err
	}
	v, err := b.Store.Browse(b.Account, from)
	if err != nil {
		return l, err
	}
	defer v.Close()
	words := strings.Fields(strings.ToLower(query))
	for ctx.Err() == nil && v.Next() {
		row, err := b.row(v)
		if err != nil {
			return l, err
		}
		if l.Looked == maxLooked || len(l.Rows) == pageRows {
			l.More = row.ID
			break
		}
		l.Looked++
		if row.has(words) {
			l.Rows = append(l.Rows, row)
		}
	}
	return l, errors.Join(ctx.Err(), v.Err())
}

func (r *Row) has(words []string) bool {
	text := strings.ToLower(r.From + "\n" + r.Address + "\n" + r.Subject)
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// row reads the row of the message that v is at. A message that can't be read has a
// row with an error text, so that the others are still shown.
func (b Mailbox) row(v storage.View) (Row, error) {
	m, err := v.Open()
	if err != nil {
		return Row{}, err
	}
	defer m.Close()
	if b.Row != nil {
		return b.Row(m)
	}
	e := m.Entry()
	row := Row{ID: e.ID, Arrival: e.Arrival, Octets: e.Octets()}
	head, err := entity.ReadHead(storage.NewPlain(m), entity.DefaultLimits)
	if errors.Is(err, storage.ErrCorrupt) {
		row.From, row.Subject = "(damaged)", "This message can't be read: "+err.Error()
		return row, nil
	}
	if len(head.From) > 0 {
		row.Address = head.From[0].Address
		row.From = cmp.Or(head.From[0].Name, row.Address)
	}
	row.From = cmp.Or(row.From, "(no sender)")
	row.Subject = cmp.Or(head.Subject, "(no subject)")
	return row, nil
}

// opened is a message open for reading, with the snapshot that it is read from.
type opened struct {
	storage.Message
	view storage.View
}

// Close lets go of the message.
func (o *opened) Close() {
	o.Message.Close()
	o.view.Close()
}

// open opens a message: storage.ErrNotFound. The caller closes it.
func (b Mailbox) open(id storage.MessageID) (*opened, error) {
	v, err := b.Store.Browse(b.Account, id)
	if err != nil {
		return nil, err
	}
	if v.Next() {
		m, err := v.Open()
		if err == nil && m.Entry().ID == id {
			return &opened{Message: m, view: v}, nil
		}
		if err == nil {
			m.Close()
		}
		v.Close()
		return nil, cmp.Or(err, notThere(id))
	}
	err = v.Err()
	v.Close()
	return nil, cmp.Or(err, notThere(id))
}

func notThere(id storage.MessageID) error {
	return fmt.Errorf("%w: message %s", storage.ErrNotFound, id)
}

// olderThan is the next older message; 0: none.
func (b Mailbox) olderThan(id storage.MessageID) storage.MessageID { return b.upTo(id - 1) }

// newerThan is the next newer message; 0: none. The store goes from newer messages to
// older ones only, so it is searched for by halves.
func (b Mailbox) newerThan(id storage.MessageID) storage.MessageID {
	newer := b.upTo(storage.MaxMessageID)
	if newer <= id {
		return 0
	}
	for low := id; low+1 < newer; { // none is in (id, low], and one at newer
		middle := low + (newer-low)/2
		if found := b.upTo(middle); found > id {
			newer = found
		} else {
			low = middle
		}
	}
	return newer
}

// upTo returns the newest message with an id up to id; 0: none.
func (b Mailbox) upTo(id storage.MessageID) storage.MessageID {
	v, err := b.Store.Browse(b.Account, id)
	if err != nil {
		return 0
	}
	defer v.Close()
	if !v.Next() {
		return 0
	}
	m, err := v.Open()
	if err != nil {
		return 0
	}
	defer m.Close()
	return m.Entry().ID
}

// How long a deletion waits for a session that holds the maildrop, and how often it looks.
const (
	lockPatience = 3 * time.Second
	lockLook     = 50 * time.Millisecond
)

// Delete deletes messages, all or none, under the lock of the maildrop: ErrInUse when a
// POP3 session keeps holding it. Messages that are gone already are skipped.
func (b Mailbox) Delete(ctx context.Context, ids []storage.MessageID) error {
	lock, err := b.Store.LockMaildrop(b.Account)
	for until := time.Now().Add(lockPatience); errors.Is(err, storage.ErrInUse) && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockLook):
		}
		lock, err = b.Store.LockMaildrop(b.Account)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	expunge := lock.Expunge
	if b.ForGood {
		expunge = lock.Purge
	}
	if err := expunge(ids); err != nil {
		return err
	}
	if b.Deleted != nil {
		b.Deleted(ids)
	}
	return nil
}

// people are addresses for a person to read.
func people(as []*mail.Address) string {
	words := make([]string, len(as))
	for i, a := range as {
		words[i] = entity.AddressText(a)
	}
	return strings.Join(words, ", ")
}
