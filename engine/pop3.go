package engine

import (
	"fmt"
	"net/netip"

	"postrider/engine/loop"
	"postrider/engine/pop3d"
	"postrider/storage"
)

// pop3Conn is one POP3 connection: the pure machine of pop3d on one side, the
// event loop and the store on the other. Everything in it belongs to its loop's
// goroutine, except the job while a pool has it; the session waits meanwhile.
type pop3Conn struct {
	session
	m    pop3d.Session
	user string // who is logged in, for the log
	lock storage.Lock
	job  *pop3Job
	out  reading // the message that is being sent, and those read ahead

	listing int64 // octets of the ledger for the listing
	early   bool  // the deadline comes when keepAhead is over, the rest of the time after that

	held pop3d.Verdict // on a login that has failed, that waits for its delay
}

// pop3Port is what the connections of one listener share.
type pop3Port struct {
	port
	configs [offers]pop3d.Config // see offer
}

// listingOctets is what a message costs in a listing.
const listingOctets = 12

func (p *pop3Port) open(c *loop.Conn, from netip.AddrPort) loop.Handler {
	s := new(pop3Conn)
	if !s.session.open(&p.port, c, from, s) {
		return refused{}
	}
	config := &p.configs[p.srv.offer()]
	timestamp := ""
	if config.APOP {
		timestamp = p.srv.timestamp()
	}
	s.m.Init(config, timestamp, pop3d.Peer{Loopback: s.ip.IsLoopback()})
	p.srv.stats.pop3Sessions.Add(1)
	return s.start()
}

// The methods below implement dialogue.

func (s *pop3Conn) begin()     { s.shard.pop3.Reset() }
func (s *pop3Conn) greet()     { s.m.Greet(&s.shard.pop3) }
func (s *pop3Conn) timeOut()   { s.m.TimeOut(&s.shard.pop3) }
func (s *pop3Conn) left() bool { return s.m.Left() }
func (s *pop3Conn) secure()    { s.m.Secured(pop3d.TLSFacts{Binding: s.tls.ChannelBinding}) }
func (s *pop3Conn) say()       { s.flush() }
func (s *pop3Conn) spoke()     {} // POP3 has no rule about that

// shutDown ends the session now, or after the answer that it waits for. Deletions without
// QUIT are not carried out (RFC 1939 section 6).
func (s *pop3Conn) shutDown() {
	if s.abandonLogin() {
		s.waits = nothing
		s.m.Answer(pop3d.Answer{Verdict: pop3d.Shutdown}, &s.shard.pop3)
	}
	s.m.Shutdown(&s.shard.pop3)
}

// feed gives the machine what it takes of in.
func (s *pop3Conn) feed(in []byte) int {
	e, total := &s.shard.pop3, 0
	for s.waits == nothing && !s.closing {
		if total < len(in) && s.loginEnds() {
			break
		}
		n := s.m.Feed(in[total:], e)
		total += n
		idle := n == 0 && e.Ask == pop3d.AskNothing && !e.Close
		s.carryOut()
		if idle {
			break
		}
	}
	return total
}

// carryOut does what the machine asked for, and answers what can be answered at
// once; otherwise the session waits for the answer.
func (s *pop3Conn) carryOut() {
	for e := &s.shard.pop3; ; {
		switch {
		case e.Close:
			s.closing = true
			return
		case e.StartTLS:
			s.waits = forHandshake
			return
		case e.Ask == pop3d.AskNothing:
			return
		}
		q := e.Ask
		e.Ask = pop3d.AskNothing
		a, known := s.answer(q)
		if !known {
			if s.waits == nothing { // else with a deadline
				s.park()
			}
			return
		}
		s.m.Answer(a, e)
	}
}

// flush sends the replies so far and says whether the connection took them all.
func (s *pop3Conn) flush() bool {
	e := &s.shard.pop3
	if len(e.Reply) > 0 {
		s.write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	return s.conn.Pending() == 0
}

// expect sets the read limit and the time that the peer has.
func (s *pop3Conn) expect() {
	s.out.idle(s.srv)
	limit, early := s.port.timeout, s.hoards()
	if early {
		limit = keepAhead
	}
	if s.expectCommand(limit) {
		s.early = early
	}
}

// hoards says whether the session holds messages read ahead that it must give up
// when its peer is silent for keepAhead: others may wait for the memory.
func (s *pop3Conn) hoards() bool { return s.out.buf != nil && s.port.timeout > keepAhead }

// answer answers a question at once, or starts finding out and says so.
func (s *pop3Conn) answer(q pop3d.Question) (a pop3d.Answer, known bool) {
	switch q {
	case pop3d.AskLogin, pop3d.AskAPOP, pop3d.AskAuth:
		return s.login(q)
	case pop3d.AskRead:
		return s.openMessage()
	case pop3d.AskSent:
		return s.sendMessage()
	case pop3d.AskUpdate:
		s.job.begin(jobUpdate)
		s.job.ids = s.m.AppendDeleted(s.job.ids[:0])
		s.srv.readers.submit(s.job)
		return a, false
	case pop3d.AskDrained:
		if s.flush() {
			return pop3d.Answer{Verdict: pop3d.Yes}, true
		}
		s.await(forListing)
		return a, false
	case pop3d.AskTLS:
		return pop3d.Answer{Verdict: s.mayStartTLS()}, true
	}
	panic("BUG: pop3d asked an unknown question")
}

// resume answers the question that the session waits for, and goes on.
func (s *pop3Conn) resume(a pop3d.Answer) {
	s.waits = nothing
	s.begin()
	s.m.Answer(a, &s.shard.pop3)
	s.carryOut()
	s.resumed()
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

// drained goes on when the peer has taken what was sent.
func (s *pop3Conn) drained(w wait) {
	if w == forListing {
		s.resume(pop3d.Answer{Verdict: pop3d.Yes})
		return
	}
	s.begin()
	s.stream()
}

// expired says whether the peer has more time: it has when only what was read ahead for it
// is given up.
func (s *pop3Conn) expired(w wait) (again bool) {
	switch {
	case w == forTurn:
		s.waited()
	case w == forPenalty:
		s.resume(pop3d.Answer{Verdict: s.held})
	case w == nothing && s.early:
		s.early = false
		s.out.close(s.srv)
		s.conn.SetDeadline(s.port.timeout - keepAhead)
		return true
	}
	return false
}

func (s *pop3Conn) closed(err error) {
	s.abandonLogin()
	s.release()
	s.srv.stats.pop3Sessions.Add(-1)
	s.srv.log.disconnectPOP3(s, err)
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
