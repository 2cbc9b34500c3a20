package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"postrider/storage"
)

// Admit implements storage.Inbox.
func (c *Client) Admit(size int64) error { return c.ask("admit", size, new(none)) }

// NewDraft implements storage.Inbox: the body goes to the server while it is
// appended. It returns once the server has given the id, so that drafts have ids in
// the order in which they were begun, which is their order in the maildrop.
func (c *Client) NewDraft(int64) storage.Draft {
	r, w := io.Pipe()
	d := &remoteDraft{client: c, pipe: w, out: bufio.NewWriterSize(w, 64<<10),
		begun: make(chan struct{}), handed: make(chan struct{}), answer: make(chan error, 1)}
	go d.send(r)
	<-d.begun
	return d
}

var errSettle = fmt.Errorf("%w: queue entries can't be settled through the admin socket", storage.ErrInvalid)

// Deliver implements storage.Inbox, without Settle, which is the scheduler's. It
// returns once the server has handed the message to its store, so that messages
// get there in the order of the calls. It does not wait for the sync.
func (c *Client) Deliver(d *storage.Delivery) {
	draft := d.Draft.(*remoteDraft)
	if len(d.Settle) > 0 {
		draft.Discard()
		d.Done(d, storage.Receipt{}, errSettle)
		return
	}
	err := writeJSONFrame(draft.out, frameEnd, envelope{d.Arrival.UnixMilli(), d.Size, d.Recipients, d.Relayed})
	if err == nil {
		err = draft.out.Flush()
	}
	draft.pipe.CloseWithError(err) // nil: io.EOF
	<-draft.handed
	go func() {
		if err := <-draft.answer; err != nil {
			d.Done(d, storage.Receipt{}, err)
			return
		}
		d.Done(d, storage.NewReceipt(draft.id), nil)
	}()
}

// remoteDraft is a draft of the server. The one request that carries it runs in
// a goroutine of its own, fed through a pipe: a slow server slows Append.
type remoteDraft struct {
	client *Client
	pipe   *io.PipeWriter
	out    *bufio.Writer
	begun  chan struct{} // closed when id is what it will be
	handed chan struct{} // closed when the server's store has the message, or never will
	id     storage.MessageID
	answer chan error
}

// send carries the draft; it ends with the pipe.
func (d *remoteDraft) send(r *io.PipeReader) {
	err := d.exchange(r)
	r.CloseWithError(io.ErrClosedPipe) // what is appended after a refusal goes nowhere
	d.answer <- err
}

// exchange reads the answers: the id, that the store has the message, and the
// outcome.
func (d *remoteDraft) exchange(r io.Reader) error {
	begun := sync.OnceFunc(func() { close(d.begun) })
	defer begun()
	handed := sync.OnceFunc(func() { close(d.handed) })
	defer handed()
	body, err := d.client.post(context.Background(), "deliver?"+askHanded, r)
	if err != nil {
		return err
	}
	defer body.Close()
	answers := json.NewDecoder(body)
	if err := answers.Decode(&d.id); err != nil {
		return d.client.gone(err)
	}
	begun()
	end := line[none]{Handed: true}
	for end.Handed { // a server that was started before an update does not send it
		end = line[none]{}
		if err := answers.Decode(&end); err != nil {
			return d.client.gone(err)
		}
		if end.Handed {
			handed()
		}
	}
	if end.Error != nil {
		return end.Error
	}
	_, _ = io.Copy(io.Discard, body) // a connection that is read to its end serves again
	return nil
}

// ID implements storage.Draft; 0 when the server is gone.
func (d *remoteDraft) ID() storage.MessageID { return d.id }

// Append implements storage.Draft. An error shows in Deliver's outcome.
func (d *remoteDraft) Append(run []byte) {
	for len(run) > 0 {
		piece := run[:min(len(run), storage.MaxPiece)]
		_ = writeFrame(d.out, framePiece, piece)
		run = run[len(piece):]
	}
}

// Backlog implements storage.Draft: Append waits instead.
func (d *remoteDraft) Backlog() int64 { return 0 }

// Notify implements storage.Draft.
func (d *remoteDraft) Notify(_ int64, f func()) { f() }

// Discard implements storage.Draft.
func (d *remoteDraft) Discard() { d.pipe.CloseWithError(io.ErrUnexpectedEOF) }

// View implements storage.Maildrops.
func (c *Client) View(account storage.AccountID) (storage.View, error) {
	id, err := json.Marshal(account)
	if err != nil {
		return nil, err
	}
	body, err := c.post(context.Background(), "view", bytes.NewReader(id))
	if err != nil {
		return nil, err
	}
	return &remoteView{client: c, body: body, in: bufio.NewReaderSize(body, 64<<10)}, nil
}

// remoteView reads a maildrop as it comes.
type remoteView struct {
	client *Client
	body   io.ReadCloser
	in     *bufio.Reader
	buf    []byte
	entry  storage.Entry
	fault  error // fault of the message that is open
	within bool  // the frames of a message are not all read
	ended  bool
	err    error
}

// Next implements storage.View.
func (v *remoteView) Next() bool {
	for v.within && v.err == nil {
		_, _ = v.piece() // what the caller left unread
	}
	if v.ended || v.err != nil {
		return false
	}
	kind, payload := v.frame()
	v.fault = nil
	switch kind {
	case frameEntry:
		var e entryArg
		v.err = json.Unmarshal(payload, &e)
		v.entry = e.entry()
		v.within = true
	case frameFault:
		v.fault = wireErrorOf(payload)
	case frameFinish:
		v.ended = true
		var w *wireError
		if v.err = json.Unmarshal(payload, &w); v.err == nil {
			v.err = fromWire(w)
		}
		return false
	default:
		v.fail(errFrames)
	}
	return v.err == nil
}

// frame reads the next frame; kind 0 and v.err on an error.
func (v *remoteView) frame() (kind byte, payload []byte) {
	kind, payload, err := readFrame(v.in, v.buf)
	if err != nil {
		v.fail(v.client.gone(err))
		return 0, nil
	}
	v.buf = payload
	return kind, payload
}

func (v *remoteView) fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

// piece reads on in the message.
func (v *remoteView) piece() ([]byte, error) {
	if !v.within {
		if v.fault != nil {
			return nil, v.fault
		}
		return nil, io.EOF
	}
	kind, payload := v.frame()
	switch {
	case v.err != nil:
		v.within = false
		return nil, v.err
	case kind == framePiece:
		return payload, nil
	case kind == frameEnd:
		v.within = false
		return nil, io.EOF
	case kind == frameFault:
		v.within = false
		v.fault = wireErrorOf(payload)
		return nil, v.fault
	}
	v.fail(errFrames)
	v.within = false
	return nil, v.err
}

func wireErrorOf(payload []byte) error {
	w := new(wireError)
	if err := json.Unmarshal(payload, w); err != nil {
		return err
	}
	return w
}

// Open implements storage.View.
func (v *remoteView) Open() (storage.Message, error) {
	if v.fault != nil {
		return nil, v.fault
	}
	return remoteMessage{v}, nil
}

// Err implements storage.View.
func (v *remoteView) Err() error { return v.err }

// Close implements storage.View.
func (v *remoteView) Close() { v.body.Close() }

// remoteMessage is the message that a remoteView is at.
type remoteMessage struct{ view *remoteView }

func (m remoteMessage) Entry() storage.Entry  { return m.view.entry }
func (m remoteMessage) Next() ([]byte, error) { return m.view.piece() }
func (m remoteMessage) Close()                {}
