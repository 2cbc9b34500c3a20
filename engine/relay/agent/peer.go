package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"postrider/engine/protocol/smtpclient"
	"postrider/engine/protocol/trace"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
)

// peer is a connection to a host, with the machine that speaks SMTP on it.
type peer struct {
	set    *rules   // that counted when it was made
	conn   net.Conn // the socket, or TLS over it
	socket net.Conn
	host   mx.Host
	demand tlspolicy.Demand
	tls    *facts // nil: clear text

	noTLS      bool // the handshake failed
	distrusted bool // the certificate does not meet the demand
	plain      bool // STARTTLS is not used, because it is broken
	remembered bool // clearHosts has the host's address

	config smtpclient.Config
	m      smtpclient.Session
	e      smtpclient.Effects
	tx     smtpclient.Transaction
	in     []byte // octets that were read and not yet consumed
	times  deadlines
	traced []*trace.Dialogue // what writes the dialogue about the message down
	own    *trace.Dialogue   // writes the whole connection down, for kept; nil until something is kept
	kept   *dialogue         // gets the lines about the message; nil: none is kept
	body   bool              // what is sent is a message after DATA
	unhook func() bool       // cancels the AfterFunc that closes the socket
	leave  func()            // gives back the connection of addressCounts

	uses   int       // transactions
	handed time.Time // when the last one began, after the greeting and TLS
}

// connect dials a host. The machine has not read the greeting yet. With plain the client
// does not send STARTTLS, because TLS with this host is broken.
func (c *Courier) connect(set *rules, host mx.Host, demand tlspolicy.Demand, login *smtpclient.Credentials, plain bool, leave func()) (*peer, error) {
	d := net.Dialer{Timeout: set.Connect}
	if local := set.Source; local != nil {
		d.LocalAddr = local
	}
	conn, err := d.DialContext(c.ctx, "tcp", host.Addr.String())
	if err != nil {
		leave()
		return nil, plainDial(err)
	}
	p := &peer{set: set, conn: conn, socket: conn, leave: sync.OnceFunc(leave), host: host, demand: demand, plain: plain, config: smtpclient.Config{Helo: set.Hostname, Auth: login}}
	p.unhook = context.AfterFunc(c.ctx, func() { _ = conn.Close() }) // ends a wait for the peer
	switch {
	case !demand.Optional():
		p.config.TLS = smtpclient.TLSMust
	case demand.Level == tlspolicy.May && !plain:
		p.config.TLS = smtpclient.TLSMay
	}
	p.m.Init(&p.config)
	return p, nil
}

// plainDial takes the addresses out of an error of Dial: the caller's text has them.
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

// close ends TLS and closes the connection.
func (p *peer) close() {
	p.unhook()
	_ = p.conn.Close()
	p.leave()
}

// cut closes the socket without the close_notify of TLS, and so never waits for the peer.
func (p *peer) cut() {
	p.unhook()
	_ = p.socket.Close()
	p.leave()
}

// quitPatience is how long a peer may take for the reply to QUIT.
const quitPatience = time.Second

// quit sends QUIT and waits for the reply.
func (p *peer) quit() {
	defer p.close()
	p.e.Reset()
	p.m.Quit(&p.e)
	_ = p.conn.SetDeadline(time.Now().Add(quitPatience))
	if err := p.write(p.e.Send); err != nil {
		return
	}
	var buf [512]byte
	if n, _ := p.conn.Read(buf[:]); n > 0 {
		p.heard(buf[:n])
	}
}

// send sends the message of an entry to some of its recipients, with SMTPUTF8 if utf8 is
// true. The outcome belongs to the machine.
func (p *peer) send(c *Courier, entry *storage.QueueEntry, to []int, utf8 bool) *smtpclient.Outcome {
	p.follow(c, entry)
	p.transaction(entry, to, utf8)
	p.times = c.deadlines(time.Now(), entry.Size())
	p.uses, p.handed = p.uses+1, time.Time{}
	p.e.Reset()
	p.m.Begin(&p.tx, &p.e)
	for {
		outcome := p.e.Outcome
		if p.e.Ask != smtpclient.AskNothing {
			p.e.Ask = smtpclient.AskNothing
			p.stream(c, entry)
			continue
		}
		p.flush(c)
		if p.e.StartTLS {
			p.startTLS(c, entry.ID)
			continue
		}
		if p.e.Close {
			p.close()
		}
		if outcome != nil {
			return outcome
		}
		if p.e.Outcome == nil {
			p.receive(c)
		}
	}
}

// largeWrite is the size from which flush reads while it writes. A peer whose replies are
// not read may stop reading commands (RFC 2920 section 3.1).
const largeWrite = 16 << 10

// flush writes what the machine has to send.
func (p *peer) flush(c *Courier) {
	out := p.e.Send
	p.e.Send = p.e.Send[:0]
	if len(out) == 0 {
		return
	}
	if p.handed.IsZero() && p.m.InTransaction() {
		p.handed = time.Now()
	}
	_ = p.conn.SetWriteDeadline(p.times.next(time.Now(), p.m.Waiting()))
	p.times.reply = time.Time{} // a new command has a new deadline
	if len(out) < largeWrite {
		if err := p.write(out); err != nil {
			p.lost(err)
		}
	} else {
		p.flushBeside(out)
	}
	p.body = false
}

// flushBeside reads replies while it writes. Reading ends with the write, which has a
// deadline.
func (p *peer) flushBeside(out []byte) {
	done := make(chan error, 1)
	_ = p.conn.SetReadDeadline(time.Time{})
	go func() {
		done <- p.write(out)
		_ = p.conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
	}()
	for {
		if _, err := p.read(); err != nil {
			break
		}
	}
	if err := <-done; err != nil {
		p.lost(err)
	}
}

// maxUnread is how many octets in may have.
const maxUnread = 1 << 20

// read appends octets from the peer to in.
func (p *peer) read() (int, error) {
	if len(p.in) > maxUnread {
		return 0, fmt.Errorf("the peer sent more than %d octets before it was asked", maxUnread)
	}
	if cap(p.in)-len(p.in) < 2048 {
		grown := make([]byte, len(p.in), 2*cap(p.in)+4096)
		copy(grown, p.in)
		p.in = grown
	}
	n, err := p.conn.Read(p.in[len(p.in):cap(p.in)])
	p.in = p.in[:len(p.in)+n]
	return n, err
}

// receive gives the machine the peer's replies, and waits for them if none were read yet.
func (p *peer) receive(c *Courier) {
	if p.feed() {
		p.times.reply = time.Time{}
		return
	}
	if p.times.reply.IsZero() {
		p.times.reply = p.times.next(time.Now(), p.m.Waiting())
	}
	_ = p.conn.SetReadDeadline(p.times.reply)
	if n, err := p.read(); n == 0 && err != nil {
		p.lost(err)
		return
	}
	if p.feed() {
		p.times.reply = time.Time{}
	}
}

// feed gives in to the machine and reports whether the machine consumed some of it.
func (p *peer) feed() bool {
	n := p.m.Feed(p.in, &p.e)
	if n > 0 {
		p.heard(p.in[:n])
	}
	p.in = p.in[:copy(p.in, p.in[n:])]
	return n > 0
}

// lost tells the machine that the connection is broken. The machine gets the peer's last
// replies first: they often have the reason.
func (p *peer) lost(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.m.TimeOut(&p.e)
		return
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(quitPatience))
	for p.e.Outcome == nil {
		if p.feed() {
			continue
		}
		if n, err := p.read(); n == 0 && err != nil {
			break
		}
	}
	if p.e.Outcome == nil {
		p.m.Lost(&p.e)
	}
}

// stream sends the message, in wire form. A small message is one write, together with the
// commands before and after it.
func (p *peer) stream(c *Courier, entry *storage.QueueEntry) {
	m, err := c.store.OpenQueued(entry)
	if err != nil {
		if !errors.Is(err, storage.ErrNotFound) { // an operator may have deleted it
			c.log.Error("a queued message can't be read", "id", entry.ID.Message.String(), "err", err)
		}
		p.m.BodyFailed(&p.e)
		return
	}
	defer m.Close()
	p.times.beginBody(time.Now())
	p.body = len(p.e.Send) == 0 // else BDAT is there
	for {
		piece, err := m.Next()
		if err == io.EOF {
			p.m.BodyDone(&p.e)
			return
		}
		if err != nil {
			c.log.Error("a queued message can't be read", "id", entry.ID.Message.String(), "err", err)
			p.m.BodyFailed(&p.e)
			return
		}
		p.e.Send = append(p.e.Send, piece...)
		if len(p.e.Send) < storage.MaxPiece {
			continue
		}
		_ = p.conn.SetWriteDeadline(p.times.next(time.Now(), smtpclient.WaitDataBlock))
		werr := p.write(p.e.Send)
		p.e.Send = p.e.Send[:0]
		if werr != nil {
			p.lost(werr)
			return
		}
	}
}
