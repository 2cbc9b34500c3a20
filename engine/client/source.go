package client

import (
	"bytes"
	"hash/fnv"
	"io"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"postrider/codec/message"
	"postrider/engine/mail/entity"
	"postrider/storage"
)

// Source gives messages of a maildrop as a store does: so that they are written into files
// by the same hand.
func (p *POP3) Source(items []Item) *Source { return &Source{p, items} }

// Source is a transfer.Source of a session. One View at a time may be in use.
type Source struct {
	p     *POP3
	items []Item
}

// Owner is the account as storage names it: by the address of its From.
func (a *Account) Owner() storage.Account {
	address := a.User
	if from, err := mail.ParseAddress(a.From); err == nil {
		address = from.Address
	}
	name, domain, _ := strings.Cut(strings.ToLower(address), "@")
	return storage.Account{Name: name, Domain: domain}
}

// View begins to read.
func (s *Source) View(storage.AccountID) (storage.View, error) {
	return &view{p: s.p, left: s.items}, nil
}

type view struct {
	p    *POP3
	left []Item
	now  Item
}

// Next implements storage.View.
func (v *view) Next() bool {
	if len(v.left) == 0 {
		return false
	}
	v.now, v.left = v.left[0], v.left[1:]
	return true
}

func (v *view) Err() error { return nil }
func (v *view) Close()     {}

// maxBegin is how much of a message is looked at for its trace fields.
const maxBegin = 64 << 10

// Open reads a message from the server: at once as much of it as has the time of its
// arrival.
func (v *view) Open() (storage.Message, error) {
	body, err := v.p.Retrieve(v.now.Number, v.now.Size)
	if err != nil {
		return nil, err
	}
	m := &fetched{body: body}
	for len(m.begin) < maxBegin && !bytes.Contains(m.begin, []byte("\r\n\r\n")) {
		wire, err := body.Wire()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		m.begin = append(m.begin, wire...)
	}
	m.entry = storage.Entry{ID: idOf(v.now), Arrival: arrival(m.begin), Wire: v.now.Size, Size: v.now.Size}
	if storage.ValidUIDL(v.now.UID) {
		m.entry.UIDL = []byte(v.now.UID)
	}
	if f, rest, ok := message.Next(m.begin); ok && f.Is("Return-Path") {
		n := len(m.begin) - len(rest)
		m.entry.Trace, m.begin = m.begin[:n:n], rest
		m.entry.Size = max(m.entry.Size-int64(n), 0)
	}
	return m, nil
}

// idOf is an id for a file's name: of a postrider it is the message's own, else a digest
// of the unique-id, else the number.
func idOf(it Item) storage.MessageID {
	if id, err := storage.ParseMessageID(it.UID); err == nil {
		return id
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, it.UID)
	if it.UID == "" {
		_, _ = io.WriteString(h, strconv.Itoa(it.Number))
	}
	return storage.MessageID(h.Sum64())
}

// arrival is when a message arrived: the date of its first Received field (RFC 5321
// section 4.4), else its Date, else now.
func arrival(header []byte) time.Time {
	if f, ok := message.Find(header, "Received"); ok {
		text := string(f.Unfolded())
		if at, ok := entity.ReadDate(text[strings.LastIndexByte(text, ';')+1:]); ok {
			return at
		}
	}
	if f, ok := message.Find(header, "Date"); ok {
		if at, ok := entity.ReadDate(string(f.Unfolded())); ok {
			return at
		}
	}
	return time.Now()
}

// fetched is a message that is being fetched.
type fetched struct {
	body  *Body
	entry storage.Entry
	begin []byte // read and not given yet
}

func (f *fetched) Entry() storage.Entry { return f.entry }

// Next implements storage.Message.
func (f *fetched) Next() ([]byte, error) {
	if len(f.begin) > 0 {
		begin := f.begin[:min(len(f.begin), storage.MaxPiece)]
		f.begin = f.begin[len(begin):]
		return begin, nil
	}
	return f.body.Wire()
}

// Close leaves the rest of the message to the session, which passes over it.
func (f *fetched) Close() {}
