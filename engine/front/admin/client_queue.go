package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"

	"postrider/storage"
)

// QueuedEntry implements storage.Queue.
func (c *Client) QueuedEntry(id storage.EntryID) (*storage.QueueEntry, error) {
	e := new(storage.QueueEntry)
	if err := c.ask("queue-entry", id, e); err != nil {
		return nil, err
	}
	return e, nil
}

// Queued implements storage.Queue: the entries are read as they come.
func (c *Client) Queued(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error {
	return streamed(c, "queue-list", filter, f)
}

// MoveQueued implements storage.Queue.
func (c *Client) MoveQueued(ids []storage.EntryID, m storage.QueueMove) (n int, err error) {
	return n, c.ask("queue-move", moveArg{ids, m}, &n)
}

// QueueTotal implements storage.Queue; nothing as well when the server is gone.
func (c *Client) QueueTotal() (entries, octets int64) {
	var t totalAnswer
	_ = c.ask("queue-total", none{}, &t)
	return t.Entries, t.Octets
}

// TakeCensus has the server count its queue; see the function of that name.
func (c *Client) TakeCensus(arg CensusArg) (*Census, error) {
	n := new(Census)
	return n, c.ask("queue-census", arg, n)
}

// History implements storage.Queue.
func (c *Client) History(id storage.MessageID, f func(storage.Record) bool) error {
	return streamed(c, "queue-history", id, func(r *storage.Record) bool { return f(*r) })
}

// Bounce is Relay's, of the running server.
func (c *Client) Bounce(ids []storage.EntryID, reason string) (n int, err error) {
	return n, c.ask("relay-bounce", bounceArg{ids, reason}, &n)
}

// Flush is Relay's, of the running server.
func (c *Client) Flush(domain string) error { return c.ask("relay-flush", domain, new(none)) }

// RelayStatus is Relay's, of the running server.
func (c *Client) RelayStatus() (s RelayStatus, err error) {
	return s, c.ask("relay-status", none{}, &s)
}

// streamed calls f for each item that a method's answer streams, until f returns
// false.
func streamed[T any](c *Client, name string, arg any, f func(*T) bool) error {
	b, err := json.Marshal(arg)
	if err != nil {
		return err
	}
	body, err := c.post(context.Background(), name, bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	for {
		var l line[T]
		if err := lines.Decode(&l); err != nil {
			return c.gone(err)
		}
		if l.End {
			return fromWire(l.Error)
		}
		if l.Item != nil && !f(l.Item) {
			return nil
		}
	}
}

// OpenQueued implements storage.Queue: the body is read as it comes.
func (c *Client) OpenQueued(e *storage.QueueEntry) (storage.Message, error) {
	id, err := json.Marshal(e.ID)
	if err != nil {
		return nil, err
	}
	body, err := c.post(context.Background(), "queue-body", bytes.NewReader(id))
	if err != nil {
		return nil, err
	}
	v := &remoteView{client: c, body: body, in: bufio.NewReaderSize(body, 64<<10)}
	if !v.Next() {
		v.Close()
		return nil, v.Err()
	}
	return queuedMessage{remoteMessage{v}}, nil
}

// queuedMessage is a message with the answer that carries it.
type queuedMessage struct{ remoteMessage }

func (m queuedMessage) Close() { m.view.Close() }
