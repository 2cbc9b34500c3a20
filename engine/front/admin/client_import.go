package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"postrider/storage"
)

// EachEntry implements storage.Maildrops.
func (c *Client) EachEntry(account storage.AccountID, f func(storage.Entry) bool) error {
	return streamed(c, "entries", account, func(e *entryArg) bool { return f(e.entry()) })
}

// ChangeUIDL implements storage.Maildrops.
func (c *Client) ChangeUIDL(account storage.AccountID, from, to string) error {
	return c.ask("change-uidl", uidlArg{account, from, to}, new(none))
}

// Remove implements storage.Maildrops.
func (c *Client) Remove(account storage.AccountID, ids []storage.MessageID) error {
	return c.ask("remove", removeArg{account, ids}, new(none))
}

// Importing begins an import: an Inbox for one goroutine that sends all messages in one
// request, without waiting for any. They come to the store in the order of the calls of
// Deliver. One draft at a time may be open, and its ID is 0. The caller closes it when all
// outcomes have come.
func (c *Client) Importing(ctx context.Context) (*Importing, error) {
	r, w := io.Pipe()
	body, err := c.post(ctx, "import", r)
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	im := &Importing{client: c, pipe: w, body: body, under: make(map[int64]*storage.Delivery), ended: make(chan struct{})}
	im.changed.L = &im.mu
	im.out.Grow(2 * maxUnsent)
	go im.send()
	go im.listen()
	return im, nil
}

// maxUnsent is how many octets of an import wait to be sent; then Append waits.
const maxUnsent = 256 << 10

// Importing is an import into the store of a running server.
type Importing struct {
	client *Client
	pipe   *io.PipeWriter
	body   io.ReadCloser
	ended  chan struct{} // closed when no answer will come any more
	spare  []byte        // memory for the next draft

	mu      sync.Mutex
	changed sync.Cond
	out     bytes.Buffer // is not sent yet
	closing bool
	begun   int64                       // deliveries
	under   map[int64]*storage.Delivery // by number
	err     error                       // why the import ended
}

// Admit implements storage.Inbox: the outcome of Deliver tells.
func (im *Importing) Admit(int64) error { return nil }

// NewDraft implements storage.Inbox.
func (im *Importing) NewDraft(int64) storage.Draft {
	return &importDraft{im: im, held: im.spare[:0]}
}

// Deliver implements storage.Inbox, for one recipient.
func (im *Importing) Deliver(d *storage.Delivery) {
	draft := d.Draft.(*importDraft)
	im.mu.Lock()
	err := im.err
	if err == nil {
		im.under[im.begun] = d
		im.begun++
	}
	im.mu.Unlock()
	if err != nil {
		d.Done(d, storage.Receipt{}, err)
		return
	}
	im.begin(draft)
	im.spare = draft.held
	im.frame(func(w io.Writer) error {
		return writeJSONFrame(w, frameEnd, envelope{d.Arrival.UnixMilli(), d.Size, d.Recipients, nil})
	})
}

// begin sends what a draft holds back.
func (im *Importing) begin(d *importDraft) {
	for run := d.held; len(run) > 0; {
		piece := run[:min(len(run), storage.MaxPiece)]
		im.frame(func(w io.Writer) error { return writeFrame(w, framePiece, piece) })
		run = run[len(piece):]
	}
	d.held = d.held[:0]
}

// frame adds a frame to what is sent, when there is room.
func (im *Importing) frame(write func(io.Writer) error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for im.out.Len() > maxUnsent && im.err == nil {
		im.changed.Wait()
	}
	if im.err == nil {
		_ = write(&im.out)
		im.changed.Broadcast()
	}
}

// send sends what has gathered while the piece before it was sent.
func (im *Importing) send() {
	var piece bytes.Buffer
	piece.Grow(2 * maxUnsent)
	for {
		im.mu.Lock()
		for im.out.Len() == 0 && !im.closing && im.err == nil {
			im.changed.Wait()
		}
		over := im.err != nil || im.out.Len() == 0
		piece, im.out = im.out, piece
		im.changed.Broadcast()
		im.mu.Unlock()
		if over {
			_ = im.pipe.Close()
			return
		}
		if _, err := im.pipe.Write(piece.Bytes()); err != nil {
			im.end(im.client.gone(err))
		}
		piece.Reset()
	}
}

// listen reads the outcomes.
func (im *Importing) listen() {
	defer close(im.ended)
	answers := json.NewDecoder(im.body)
	for {
		var a storedAnswer
		if err := answers.Decode(&a); err != nil {
			im.end(im.client.gone(err))
			return
		}
		im.mu.Lock()
		d := im.under[a.N]
		delete(im.under, a.N)
		im.mu.Unlock()
		if d == nil {
			im.end(fmt.Errorf("BUG: the server at %s answered for a message that it was not sent", im.client.path))
			return
		}
		if a.OwnID {
			d.Recipients[0].UIDL = "" // or Else: the caller wants to know no more
		}
		if a.Error != nil {
			d.Done(d, storage.Receipt{}, a.Error)
			continue
		}
		d.Done(d, storage.NewReceipt(a.ID), nil)
	}
}

// end gives up: what is under way has err as its outcome, and so has what comes later.
func (im *Importing) end(err error) {
	im.mu.Lock()
	if im.err == nil {
		im.err = err
	}
	lost := im.under
	im.under = nil
	im.changed.Broadcast()
	im.mu.Unlock()
	im.pipe.CloseWithError(err)
	for _, d := range lost {
		d.Done(d, storage.Receipt{}, err)
	}
}

// Close ends the import.
func (im *Importing) Close() {
	im.mu.Lock()
	im.closing = true
	im.changed.Broadcast()
	im.mu.Unlock()
	<-im.ended
	_ = im.body.Close()
}

// importDraft is a draft of an import. It holds a message of up to maxHeld octets back, so
// that one that can't be read to its end is not begun.
type importDraft struct {
	im    *Importing
	held  []byte
	begun bool // some of it was sent
}

// maxHeld is how much of a draft waits for its end.
const maxHeld = 1 << 20

// ID implements storage.Draft.
func (d *importDraft) ID() storage.MessageID { return 0 }

// Append implements storage.Draft.
func (d *importDraft) Append(run []byte) {
	d.held = append(d.held, run...)
	if len(d.held) > maxHeld {
		d.begun = true
		d.im.begin(d)
	}
}

// Backlog implements storage.Draft: Append waits instead.
func (d *importDraft) Backlog() int64 { return 0 }

// Notify implements storage.Draft.
func (d *importDraft) Notify(_ int64, f func()) { f() }

// Discard implements storage.Draft. A message that was begun ends with a frame of its own.
func (d *importDraft) Discard() {
	if d.begun {
		d.im.frame(func(w io.Writer) error { return writeFrame(w, frameFault, nil) })
	}
}
