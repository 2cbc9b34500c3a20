package admin

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"postrider/storage"
)

// Requests and answers of the methods, as JSON. Fields of storage types go by
// their Go names.
type (
	addressArg  struct{ Local, Domain string }
	passwordArg struct {
		ID           storage.AccountID
		Hash, Secret string
	}
	verifierArg struct {
		ID             storage.AccountID
		Hash, Verifier string
	}
	changeArg struct {
		ID     storage.AccountID
		Change storage.AccountChange
	}
	loginArg struct {
		ID storage.AccountID
		At time.Time
	}
	domainAliasArg struct{ Domain, Of string }
	domainQuotaArg struct {
		Domain string
		Quota  storage.Quota
	}
	removeArg struct {
		ID       storage.AccountID
		Messages []storage.MessageID
	}
	uidlArg struct {
		ID       storage.AccountID
		From, To string
	}
	usageAnswer struct{ Messages, Octets int64 }
	none        struct{}
	// checkLine is one line of the answer to check: a fault, or the end.
	checkLine struct {
		Fault   *storage.Fault        `json:",omitempty"`
		Summary *storage.CheckSummary `json:",omitempty"`
		Error   *wireError            `json:",omitempty"`
	}
	// line is one line of an answer that streams: an item; that the store has the message
	// of a delivery (for clients that ask for it); or the end.
	line[T any] struct {
		Handed bool       `json:",omitempty"`
		Item   *T         `json:",omitempty"`
		End    bool       `json:",omitempty"`
		Error  *wireError `json:",omitempty"`
	}
	moveArg struct {
		IDs  []storage.EntryID
		Move storage.QueueMove
	}
	totalAnswer struct{ Entries, Octets int64 }
	bounceArg   struct {
		IDs    []storage.EntryID
		Reason string
	}
	// envelope is the end of a delivery.
	envelope struct {
		ArrivalMilli int64
		Size         int64
		Recipients   []storage.Recipient
		Relayed      []*storage.QueueEntry `json:",omitempty"`
	}
	entryArg struct {
		ID           storage.MessageID
		ArrivalMilli int64
		Trace        []byte
		UIDL         []byte `json:",omitempty"`
		Wire, Size   int64
	}
	// storedAnswer is the outcome of a message of an import, by its number from 0.
	storedAnswer struct {
		N     int64
		ID    storage.MessageID
		OwnID bool `json:",omitempty"` // it has not the unique-id that it was to have
		Error *wireError
	}
)

func (e *envelope) delivery(draft storage.Draft) *storage.Delivery {
	return &storage.Delivery{
		Draft: draft, Arrival: time.UnixMilli(e.ArrivalMilli), Size: e.Size,
		Recipients: e.Recipients, Relayed: e.Relayed,
	}
}

func entryArgOf(e storage.Entry) entryArg {
	return entryArg{e.ID, e.Arrival.UnixMilli(), e.Trace, e.UIDL, e.Wire, e.Size}
}

func (e entryArg) entry() storage.Entry {
	return storage.Entry{ID: e.ID, Arrival: time.UnixMilli(e.ArrivalMilli), Trace: e.Trace, UIDL: e.UIDL, Wire: e.Wire, Size: e.Size}
}

// kinds are the errors that keep their identity, by the words that they go under.
var kinds = []error{
	storage.ErrNotFound, storage.ErrExists, storage.ErrInvalid, storage.ErrInUse, storage.ErrOverQuota,
	storage.ErrFull, storage.ErrFenced, storage.ErrCorrupt, storage.ErrTemporary, storage.ErrFailed, storage.ErrClosed,
}

// wireError is an error on its way through the socket.
type wireError struct {
	Text string
	Kind string // the text of one of kinds, or ""
}

func toWire(err error) *wireError {
	if err == nil {
		return nil
	}
	w := &wireError{Text: err.Error()}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			w.Kind = kind.Error()
		}
	}
	return w
}

// Error implements error.
func (w *wireError) Error() string { return w.Text }

// Is reports whether w was made from target.
func (w *wireError) Is(target error) bool { return w.Kind != "" && target.Error() == w.Kind }

// fromWire is w as an error, nil for nil.
func fromWire(w *wireError) error {
	if w == nil {
		return nil
	}
	return w
}

// A frame is its type, the length of its payload in 4 octets, and the payload.
const (
	frameEntry  = 'M' // JSON entryArg: a message begins
	framePiece  = 'B' // octets of the body in wire form
	frameEnd    = 'E' // the message is whole; in a delivery, JSON envelope
	frameFault  = 'X' // JSON wireError: this message ends here; in an import, nothing: it is given up
	frameFinish = 'Z' // JSON *wireError or null: the view ends here; in an import, nothing
)

// askHanded is the query of a delivery whose sender wants to be told when the message
// is handed to the store. Older programs would read this answer as the end.
const askHanded = "handed"

// maxFrame bounds a payload: a piece, or an envelope with many recipients.
const maxFrame = 64 << 20

func writeFrame(w io.Writer, kind byte, payload []byte) error {
	var head [5]byte
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

func writeJSONFrame(w io.Writer, kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFrame(w, kind, b)
}

// readFrame reads a frame into buf, which it may replace by a larger one.
func readFrame(r io.Reader, buf []byte) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, buf, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, buf, fmt.Errorf("a frame of %d octets", n)
	}
	if int(n) > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err = io.ReadFull(r, buf)
	return head[0], buf, err
}
