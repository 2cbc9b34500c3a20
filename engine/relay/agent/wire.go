package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"postrider/engine/protocol/smtpclient"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
)

// wire is a connection with the machine that speaks on it.
type wire struct {
	conn   net.Conn // the socket, or TLS over it
	socket net.Conn
	host   mx.Host
	demand tlspolicy.Demand
	tls    *facts // nil: clear text
	// The handshake failed, or what was seen in it is not what is demanded.
	noTLS, distrusted bool
	// TLS may be offered and is not asked for, because it is broken; and the host's
	// address is among clearHosts.
	plain, remembered bool
	config            smtpclient.Config
	m                 smtpclient.Session
	e                 smtpclient.Effects
	tx                smtpclient.Transaction
	in                []byte // read and not yet consumed
	times             deadlines
	unhook            func() bool // ends the watch over the courier's end
	leave             func()      // gives back the place at the host's address
}

// connect dials a host. The machine has not yet read its greeting. plain: STARTTLS is
// not said, though nothing speaks against it but that it is broken.
func (c *Courier) connect(host mx.Host, demand tlspolicy.Demand, login *smtpclient.Credentials, plain bool, leave func()) (*wire, error) {
	d := net.Dialer{Timeout: c.settings.Connect}
	if local := c.settings.Source; local != nil {
		d.LocalAddr = local
	}
	conn, err := d.DialContext(c.ctx, "tcp", host.Addr.String())
	if err != nil {
		leave()
		return nil, plainDial(err)
	}
	w := &wire{conn: conn, socket: conn, leave: sync.OnceFunc(leave), host: host, demand: demand, plain: plain, config: smtpclient.Config{Helo: c.settings.Hostname, Auth: login}}
	w.unhook = context.AfterFunc(c.ctx, func() { _ = conn.Close() }) // wakes who waits for the peer
	switch {
	case !demand.Optional():
		w.config.TLS = smtpclient.TLSMust
	case demand.Level == tlspolicy.May && !plain:
		w.config.TLS = smtpclient.TLSMay
	}
	w.m.Init(&w.config)
	return w, nil
}

// plainDial takes the addresses out of an error of Dial: the caller says them.
func plainDial(err error) error {
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// close ends the connection, and TLS before it.
func (w *wire) close() {
	w.unhook()
	_ = w.conn.Close()
	w.leave()
}

// cut ends the connection without a word: nothing waits for the peer to take it.
func (w *wire) cut() {
	w.unhook()
	_ = w.socket.Close()
	w.leave()
}

// quitPatience is how long a peer may take for its goodbye.
const quitPatience = time.Second

// quit says QUIT and waits a moment for the reply.
func (w *wire) quit() {
	defer w.close()
	w.e.Reset()
	w.m.Quit(&w.e)
	_ = w.conn.SetDeadline(time.Now().Add(quitPatience))
	if _, err := w.conn.Write(w.e.Send); err != nil {
		return
	}
	var buf [512]byte
	_, _ = w.conn.Read(buf[:])
}

// send sends the message of an entry to some of its recipients, and returns the
// outcome, which belongs to the machine. utf8: the message needs SMTPUTF8.
func (w *wire) send(c *Courier, entry *storage.QueueEntry, to []int, utf8 bool) *smtpclient.Outcome {
	w.transaction(entry, to, utf8)
	w.times = c.deadlines(time.Now(), entry.Size())
	w.e.Reset()
	w.m.Begin(&w.tx, &w.e)
	for {
		outcome := w.e.Outcome
		if w.e.Ask != smtpclient.AskNothing {
			w.e.Ask = smtpclient.AskNothing
			w.stream(c, entry)
			continue
		}
		w.flush(c)
		if w.e.StartTLS {
			w.startTLS(c, entry.ID)
			continue
		}
		if w.e.Close {
			w.close()
		}
		if outcome != nil {
			return outcome
		}
		if w.e.Outcome == nil {
			w.hear(c)
		}
	}
}

// largeWrite is from where on a write is made beside reading: a peer whose replies
// are not read may stop to read commands (RFC 2920 section 3.1).
const largeWrite = 16 << 10

// flush writes what the machine says.
func (w *wire) flush(c *Courier) {
	out := w.e.Send
	w.e.Send = w.e.Send[:0]
	if len(out) == 0 {
		return
	}
	_ = w.conn.SetWriteDeadline(w.times.next(time.Now(), w.m.Waiting()))
	w.times.reply = time.Time{} // the peer is asked something new
	if len(out) < largeWrite {
		if _, err := w.conn.Write(out); err != nil {
			w.lost(err)
		}
		return
	}
	w.flushBeside(out)
}

// flushBeside writes while it reads what comes back. Reading ends with the write, which
// has a deadline.
func (w *wire) flushBeside(out []byte) {
	done := make(chan error, 1)
	_ = w.conn.SetReadDeadline(time.Time{})
	go func() {
		_, err := w.conn.Write(out)
		done <- err
		_ = w.conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
	}()
	for {
		if _, err := w.read(); err != nil {
			break
		}
	}
	if err := <-done; err != nil {
		w.lost(err)
	}
}

// mostUnread bounds what is read ahead of the machine.
const mostUnread = 1 << 20

// read appends what comes to in.
func (w *wire) read() (int, error) {
	if len(w.in) > mostUnread {
		return 0, errors.New("the peer sends without end")
	}
	if cap(w.in)-len(w.in) < 2048 {
		grown := make([]byte, len(w.in), 2*cap(w.in)+4096)
		copy(grown, w.in)
		w.in = grown
	}
	n, err := w.conn.Read(w.in[len(w.in):cap(w.in)])
	w.in = w.in[:len(w.in)+n]
	return n, err
}

// hear gives the machine what the peer says, and waits for it if need be.
func (w *wire) hear(c *Courier) {
	if w.feed() {
		w.times.reply = time.Time{}
		return
	}
	if w.times.reply.IsZero() {
		w.times.reply = w.times.next(time.Now(), w.m.Waiting())
	}
	_ = w.conn.SetReadDeadline(w.times.reply)
	if n, err := w.read(); n == 0 && err != nil {
		w.lost(err)
		return
	}
	if w.feed() {
		w.times.reply = time.Time{}
	}
}

// feed presents the unread input and says whether some of it was consumed.
func (w *wire) feed() bool {
	n := w.m.Feed(w.in, &w.e)
	w.in = w.in[:copy(w.in, w.in[n:])]
	return n > 0
}

// lost tells the machine that the connection is of no use any more. What the peer
// said before it broke off comes first: it often says why.
func (w *wire) lost(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.m.TimeOut(&w.e)
		return
	}
	_ = w.conn.SetReadDeadline(time.Now().Add(quitPatience))
	for w.e.Outcome == nil {
		if w.feed() {
			continue
		}
		if n, err := w.read(); n == 0 && err != nil {
			break
		}
	}
	if w.e.Outcome == nil {
		w.m.Lost(&w.e)
	}
}

// stream sends the body, in wire form. It is gathered with what the machine says before
// and after it: small messages are one write.
func (w *wire) stream(c *Courier, entry *storage.QueueEntry) {
	m, err := c.store.OpenQueued(entry)
	if err != nil {
		if !errors.Is(err, storage.ErrNotFound) { // an operator may have removed it
			c.log.Error("a message of the queue can't be read", "id", entry.ID.String(), "err", err)
		}
		w.m.BodyFailed(&w.e)
		return
	}
	defer m.Close()
	w.times.beginBody(time.Now())
	for {
		piece, err := m.Next()
		if err == io.EOF {
			w.m.BodyDone(&w.e)
			return
		}
		if err != nil {
			c.log.Error("a message of the queue can't be read", "id", entry.ID.String(), "err", err)
			w.m.BodyFailed(&w.e)
			return
		}
		w.e.Send = append(w.e.Send, piece...)
		if len(w.e.Send) < storage.MaxPiece {
			continue
		}
		_ = w.conn.SetWriteDeadline(w.times.next(time.Now(), smtpclient.WaitDataBlock))
		_, werr := w.conn.Write(w.e.Send)
		w.e.Send = w.e.Send[:0]
		if werr != nil {
			w.lost(werr)
			return
		}
	}
}
