package engine

import (
	"crypto/tls"
	"fmt"
	"net/netip"

	"postrider/engine/loop"
	"postrider/engine/pop3d"
	"postrider/storage"
)

// pop3Conn is one POP3 connection: the pure machine of pop3d on one side, the
// event loop and the store on the other. Everything in it belongs to its loop's
// goroutine, except the job while a pool has it; the session is parked meanwhile.
type pop3Conn struct {
	session
	port   *pop3Port
	m      pop3d.Session
	unread int    // octets that the last Input left
	user   string // who is logged in, for the log
	lock   storage.Lock
	job    *pop3Job
	out    reading // the message that is being sent, and those read ahead

	listing int64 // octets of the ledger for the listing

	held pop3d.Verdict // on a login that has failed, until its delay is over; 0: none
}

// pop3Port is what the connections of one listener share.
type pop3Port struct {
	srv     *Server
	configs [offers]pop3d.Config // see offer

	tls  *tls.Config // TLS from the first octet; nil: clear text first
	stls *tls.Config // of STLS; nil: there is none
}

// listingOctets is what a message costs in a listing.
const listingOctets = 12

func (p *pop3Port) open(c *loop.Conn, from netip.AddrPort) loop.Handler {
	s := &pop3Conn{port: p}
	if !s.session.open(p.srv, c, from, s) {
		if p.tls == nil {
			c.Write(p.srv.tooManyPOP3)
		}
		c.Close()
		return refused{}
	}
	config := &p.configs[p.srv.offer()]
	timestamp := ""
	if config.APOP {
		timestamp = p.srv.timestamp()
	}
	s.m.Init(config, timestamp, pop3d.Peer{Loopback: s.ip.IsLoopback()})
	p.srv.stats.pop3Sessions.Add(1)
	p.srv.log.connect(pop3Daemon, s.addr)
	if p.tls != nil {
		return s.handshake(p.tls, true, pop3Daemon, s, s.secured)
	}
	s.greet()
	return s
}

func (s *pop3Conn) greet() {
	e := s.begin()
	s.m.Greet(e)
	s.effects(e)
	s.finish(e)
}

// begin returns the loop's effects, empty.
func (s *pop3Conn) begin() *pop3d.Effects {
	e := &s.shard.pop3
	e.Reset()
	return e
}

// Input implements loop.Handler.
func (s *pop3Conn) Input(c *loop.Conn, in []byte) int {
	if s.closing {
		return 0
	}
	if s.parked {
		c.Pause() // the answer comes first, and resumes
		return 0
	}
	e := s.begin()
	n := s.feed(in, e)
	s.unread = len(in) - n
	s.finish(e)
	return n
}

// feed gives the machine what it takes of in.
func (s *pop3Conn) feed(in []byte, e *pop3d.Effects) int {
	total := 0
	for !s.parked && !s.closing {
		if total < len(in) && s.expired(e) {
			break
		}
		n := s.m.Feed(in[total:], e)
		total += n
		idle := n == 0 && e.Ask == pop3d.AskNothing && !e.Close
		s.effects(e)
		if idle {
			break
		}
	}
	return total
}

// effects does what the machine asked for, and answers what can be answered at
// once; otherwise the session is parked until its answer comes.
func (s *pop3Conn) effects(e *pop3d.Effects) {
	for !s.parked {
		if e.Close {
			s.closing = true
			return
		}
		q := e.Ask
		if q == pop3d.AskNothing {
			return
		}
		e.Ask = pop3d.AskNothing
		a, known := s.answer(q, e)
		if !known {
			if !s.parked { // for the peer, with a deadline
				s.park()
			}
			return
		}
		s.m.Answer(a, e)
	}
}

// await parks the session until its peer has read what waits for it.
func (s *pop3Conn) await(what sending) {
	s.out.state = what
	s.parkUnsent(s.srv.cfg.POP3.IdleTimeout)
}

// flush sends the replies so far and says whether the connection took them all.
func (s *pop3Conn) flush(e *pop3d.Effects) bool {
	if len(e.Reply) > 0 {
		s.conn.Write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	return s.conn.Pending() == 0
}

// finish sends the replies and sets what the loop does next.
func (s *pop3Conn) finish(e *pop3d.Effects) {
	if s.closing {
		s.unlock() // before the answer to QUIT: who has heard it may log in again at once
	}
	s.flush(e)
	if !s.parked && !s.closing && s.conn.Pending() > maxUnsent {
		s.await(replying)
	}
	if s.closing || s.eof && !s.parked {
		s.release()
		if s.closing && s.m.Left() && s.unread == 0 {
			s.conn.Part()
		} else {
			s.conn.Close()
		}
		return
	}
	if e.StartTLS {
		s.startTLS()
		return
	}
	if s.parked {
		return
	}
	s.out.idle(s.srv)
	s.conn.SetReadLimit(commandRead)
	if s.hoards() {
		s.conn.SetDeadline(keepAhead)
	} else {
		s.conn.SetDeadline(s.srv.cfg.POP3.IdleTimeout)
	}
}

// hoards says whether the session holds messages read ahead that it must give up
// when its peer is silent for keepAhead: others may wait for the memory.
func (s *pop3Conn) hoards() bool { return s.out.buf != nil && s.srv.cfg.POP3.IdleTimeout > keepAhead }

// answer answers a question at once, or starts finding out and says so.
func (s *pop3Conn) answer(q pop3d.Question, e *pop3d.Effects) (a pop3d.Answer, known bool) {
	switch q {
	case pop3d.AskLogin, pop3d.AskAPOP, pop3d.AskAuth:
		return s.login(q)
	case pop3d.AskRead:
		return s.openMessage()
	case pop3d.AskSent:
		return s.send(e)
	case pop3d.AskUpdate:
		s.job.begin(jobUpdate)
		s.job.ids = s.m.AppendDeleted(s.job.ids[:0])
		s.srv.readers.submit(s.job)
		return a, false
	case pop3d.AskDrained:
		if s.flush(e) {
			return pop3d.Answer{Verdict: pop3d.Yes}, true
		}
		s.await(listing)
		return a, false
	case pop3d.AskTLS:
		return pop3d.Answer{Verdict: s.mayStartTLS()}, true
	}
	panic("BUG: pop3d asked an unknown question")
}

// resume answers the question that parked the session, and goes on.
func (s *pop3Conn) resume(a pop3d.Answer) {
	e := s.begin()
	s.parked = false
	s.m.Answer(a, e)
	s.effects(e)
	s.resumed(e)
}

// resumed sends what there is and lets the loop present kept input again; a peer
// that has said goodbye with a FIN still gets the answers to it.
func (s *pop3Conn) resumed(e *pop3d.Effects) {
	eof := s.eof
	s.eof = eof && s.conn.Kept() == 0
	s.finish(e)
	s.eof = eof
	if !s.closing && !s.parked {
		s.conn.Resume()
	}
}

// updated is the answer to AskUpdate.
func (s *pop3Conn) updated(j *pop3Job) {
	a := pop3d.Answer{Verdict: pop3d.Yes}
	if j.err != nil {
		s.fault("deleting mail of "+s.user, j.err)
		a.Verdict = pop3d.Temporary
	}
	s.resume(a)
}

// shutdown implements ender: nothing is lost by ending a session that has no
// update under way; its deletions are not carried out (RFC 1939 section 6).
func (s *pop3Conn) shutdown() {
	if s.closing {
		return
	}
	if s.abandonLogin() {
		s.resume(pop3d.Answer{Verdict: pop3d.Shutdown})
		return
	}
	e := s.begin()
	s.m.Shutdown(e) // now, or after the answer that the session is parked for
	s.effects(e)
	s.finish(e)
}

// Drained implements loop.Handler: the peer has read what we sent.
func (s *pop3Conn) Drained(*loop.Conn) {
	st := s.out.state
	s.out.state = still
	switch st {
	case streaming:
		s.stream(s.begin())
	case listing:
		s.resume(pop3d.Answer{Verdict: pop3d.Yes})
	case replying:
		s.parked = false
		s.resumed(s.begin())
	}
}

// EOF implements loop.Handler: a half-closed peer still gets its replies, but a
// QUIT that never came deletes nothing.
func (s *pop3Conn) EOF(c *loop.Conn) {
	s.eof = true
	if !s.parked {
		s.release()
		c.Close()
	}
}

// Timeout implements loop.Handler.
func (s *pop3Conn) Timeout(c *loop.Conn) {
	switch {
	case s.waits():
		s.waited()
	case s.held != 0:
		v := s.held
		s.held = 0
		s.resume(pop3d.Answer{Verdict: v})
	case s.parked:
		s.reason = "stalled"
		s.srv.stats.timeouts.Add(1)
		c.Abort()
	case s.hoards():
		s.out.close(s.srv)
		s.conn.SetDeadline(s.srv.cfg.POP3.IdleTimeout - keepAhead)
	default:
		s.reason = "timeout"
		s.srv.stats.timeouts.Add(1)
		e := s.begin()
		s.m.TimeOut(e)
		s.effects(e)
		s.closing = true
		s.finish(e)
	}
}

// Closed implements loop.Handler.
func (s *pop3Conn) Closed(_ *loop.Conn, err error) {
	s.abandonLogin()
	s.release()
	s.srv.stats.pop3Sessions.Add(-1)
	s.srv.log.disconnectPOP3(s, err)
	s.session.close()
}

// release gives the maildrop and the memory back, as soon as the session is over
// and not only when the peer has closed its end. A job under way keeps them.
func (s *pop3Conn) release() {
	if s.job != nil && s.job.busy {
		return
	}
	s.out.close(s.srv)
	s.unlock()
	s.srv.budget.listings.Release(s.listing)
	s.listing = 0
}

// unlock gives the maildrop back, unless a job works at it.
func (s *pop3Conn) unlock() {
	if s.lock != nil && (s.job == nil || !s.job.busy) {
		s.lock.Release()
		s.lock = nil
	}
}

// failed ends a session whose message can't be sent to its end: a hole in it
// must not look like a whole message.
func (s *pop3Conn) failed(what string, err error) {
	s.fault(fmt.Sprintf("sending message %d of %s: %s", s.m.Reading()+1, s.user, what), err)
	s.reason = "a message could not be read"
	s.closing = true
	s.release()
	s.conn.Abort()
}
