package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"postrider/storage"
)

// maxImporting is how many messages of one import wait for their sync. Then no more of it
// is read, and its sender waits.
const maxImporting = 256

// importRoutes adds what an import needs besides: the messages of a maildrop without their
// bodies, and many messages in one request.
func importRoutes(mux *http.ServeMux, s Store) {
	stream(mux, "entries", func(id storage.AccountID, f func(*entryArg) bool) error {
		return s.EachEntry(id, func(e storage.Entry) bool {
			arg := entryArgOf(e)
			return f(&arg)
		})
	})
	method(mux, "change-uidl", func(a uidlArg) (none, error) { return none{}, s.ChangeUIDL(a.ID, a.From, a.To) })
	method(mux, "remove", func(a removeArg) (none, error) { return none{}, s.Remove(a.ID, a.Messages) })
	mux.HandleFunc("POST /v1/import", func(w http.ResponseWriter, r *http.Request) { serveImport(s, w, r) })
}

// serveImport takes messages as frames, one after the other, and hands them to the store in
// this order. It answers with a line for each one when its outcome is known.
func serveImport(s Store, w http.ResponseWriter, r *http.Request) {
	turn := http.NewResponseController(w)
	if err := turn.EnableFullDuplex(); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	defer func() { _, _ = io.Copy(io.Discard, r.Body) }() // see serveDeliver
	_ = turn.Flush()                                      // the client begins when the answer has begun
	a, _ := s.(*audited)
	im := importing{s: s, audited: a, answers: make(chan storedAnswer, maxImporting), room: make(chan struct{}, maxImporting)}
	written := make(chan struct{})
	go im.write(w, turn, written)
	im.read(r.Context(), bufio.NewReaderSize(r.Body, 64<<10))
	for range maxImporting { // until all are answered
		im.room <- struct{}{}
	}
	close(im.answers)
	<-written
	if a != nil && im.stored > 0 {
		a.did(nil, "mail imported", "messages", im.stored, "accounts", im.accounts)
	}
}

// importing is one import under way.
type importing struct {
	s       Store
	audited *audited          // s, if acts are logged
	answers chan storedAnswer // with room for all that are under way: Done never waits
	room    chan struct{}     // an element for each that is under way
	scratch []byte

	stored   int64             // messages; write counts them
	last     storage.AccountID // account of the last message
	name     string            // its address, for the history
	accounts int               // changes of last: a sender takes one account after the other
}

// read takes messages until there are no more, or none can be understood.
func (im *importing) read(ctx context.Context, r *bufio.Reader) {
	for n := int64(0); ; {
		if kind, err := r.Peek(1); err != nil || kind[0] == frameFinish {
			return
		}
		select {
		case im.room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		draft := im.s.NewDraft(0)
		d, err := receive(ctx, r, draft, &im.scratch)
		if err != nil {
			draft.Discard()
			if errors.Is(err, errGivenUp) {
				<-im.room
				continue
			}
			im.answers <- storedAnswer{N: n, Error: toWire(err)}
			return
		}
		if len(d.Recipients) == 1 && d.Recipients[0].Account != im.last {
			im.last = d.Recipients[0].Account
			im.accounts++
			im.name = im.audited.nameForHistory(im.last)
		}
		wanted := ""
		if len(d.Recipients) == 1 {
			wanted = d.Recipients[0].UIDL
		}
		number, name := n, im.name
		d.Done = func(d *storage.Delivery, receipt storage.Receipt, err error) {
			im.audited.imported(d, receipt.ID(), name, err)
			im.answers <- storedAnswer{number, receipt.ID(), wanted != "" && d.Recipients[0].UIDL != wanted, toWire(err)}
		}
		im.s.Deliver(d)
		n++
	}
}

// write answers, many lines at once while there are many.
func (im *importing) write(w io.Writer, turn *http.ResponseController, written chan<- struct{}) {
	defer close(written)
	out := bufio.NewWriterSize(w, 64<<10)
	lines := json.NewEncoder(out)
	for a := range im.answers {
		_ = lines.Encode(a)
		if a.Error == nil {
			im.stored++
		}
		<-im.room
		if len(im.answers) == 0 {
			_ = out.Flush()
			_ = turn.Flush() // a client that is gone shows in read
		}
	}
	_ = out.Flush()
}
