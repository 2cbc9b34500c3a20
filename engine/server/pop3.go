package server

import (
	"fmt"
	"net/netip"

	"postrider/engine/admit/login"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// pop3Conn is one POP3 connection: the pure machine of pop3d on one side, the
// event loop and the store on the other. Everything in it belongs to its loop's
// goroutine, except the job while a pool has it; the session waits meanwhile.
type pop3Conn struct {
	conn.Session
	srv   *Server
	shard *shard
	m     pop3d.Session
	user  string // who is logged in, for the log
	lock  storage.Lock
	job   *pop3Job
	out   reading // the message that is being sent, and those read ahead

	listing int64 // octets of the ledger for the listing
	early   bool  // the deadline comes when keepAhead is over, the rest of the time after that

	held pop3d.Verdict // on a login that has failed, that waits for its delay
}

// pop3Port is what the connections of one listener share.
type pop3Port struct {
	conn.Port
	srv     *Server
	configs [login.Offers]pop3d.Config // see login.Offer
}

// listingOctets is what a message costs in a listing.
const listingOctets = 12

func (p *pop3Port) open(c *loop.Conn, from netip.AddrPort) loop.Handler {
	s := &pop3Conn{srv: p.srv, shard: p.srv.shards[c.Loop()]}
	if !s.Session.Open(&p.Port, c, from, s) {
		return conn.Refused{}
	}
	config := &p.configs[p.srv.door.Offer()]
	timestamp := ""
	if config.APOP {
		timestamp = p.srv.timestamp()
	}
	s.m.Init(config, timestamp, pop3d.Peer{Loopback: s.IP.IsLoopback()})
	p.srv.stats.pop3Sessions.Add(1)
	return s.Start()
}

// The methods below implement conn.Dialogue.

func (s *pop3Conn) Begin()     { s.shard.pop3.Reset() }
func (s *pop3Conn) Greet()     { s.m.Greet(&s.shard.pop3) }
func (s *pop3Conn) TimeOut()   { s.m.TimeOut(&s.shard.pop3) }
func (s *pop3Conn) Left() bool { return s.m.Left() }
func (s *pop3Conn) Secure()    { s.m.Secured(pop3d.TLSFacts{Binding: s.TLS.ChannelBinding}) }
func (s *pop3Conn) Say()       { s.flush() }
func (s *pop3Conn) Spoke()     {} // POP3 has no rule about that

// ShutDown ends the session now, or after the answer that it waits for. Deletions without
// QUIT are not carried out (RFC 1939 section 6).
func (s *pop3Conn) ShutDown() {
	if s.abandonLogin() {
		s.Waits = conn.Nothing
		s.m.Answer(pop3d.Answer{Verdict: pop3d.Shutdown}, &s.shard.pop3)
	}
	s.m.Shutdown(&s.shard.pop3)
}

// Feed gives the machine what it takes of in.
func (s *pop3Conn) Feed(in []byte) int {
	e, total := &s.shard.pop3, 0
	for s.Waits == conn.Nothing && !s.Closing {
		if total < len(in) && s.loginEnds() {
			break
		}
		n := s.m.Feed(in[total:], e)
		total += n
		idle := n == 0 && e.Ask == pop3d.AskNothing && !e.Close
		s.CarryOut()
		if idle {
			break
		}
	}
	return total
}

// CarryOut does what the machine asked for, and answers what can be answered at
// once; otherwise the session waits for the answer.
func (s *pop3Conn) CarryOut() {
	for e := &s.shard.pop3; ; {
		switch {
		case e.Close:
			s.Closing = true
			return
		case e.StartTLS:
			s.Waits = conn.ForHandshake
			return
		case e.Ask == pop3d.AskNothing:
			return
		}
		q := e.Ask
		e.Ask = pop3d.AskNothing
		a, known := s.answer(q)
		if !known {
			if s.Waits == conn.Nothing { // else with a deadline
				s.Park()
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
		s.Write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	return s.Conn.Pending() == 0
}

// Expect sets the read limit and the time that the peer has.
func (s *pop3Conn) Expect() {
	s.out.idle(s.srv)
	limit, early := s.Port.Timeout, s.hoards()
	if early {
		limit = keepAhead
	}
	if s.ExpectCommand(limit) {
		s.early = early
	}
}

// hoards says whether the session holds messages read ahead that it must give up
// when its peer is silent for keepAhead: others may wait for the memory.
func (s *pop3Conn) hoards() bool { return s.out.buf != nil && s.Port.Timeout > keepAhead }

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
		s.job.request = readRequest{lock: s.lock}
		s.job.ids = s.m.AppendDeleted(s.job.ids[:0])
		s.srv.readers.Submit(s.job)
		return a, false
	case pop3d.AskDrained:
		if s.flush() {
			return pop3d.Answer{Verdict: pop3d.Yes}, true
		}
		s.Await(conn.ForListing)
		return a, false
	case pop3d.AskTLS:
		return pop3d.Answer{Verdict: s.mayStartTLS()}, true
	}
	panic("BUG: pop3d asked an unknown question")
}

// resume answers the question that the session waits for, and goes on.
func (s *pop3Conn) resume(a pop3d.Answer) {
	s.Waits = conn.Nothing
	s.Begin()
	s.m.Answer(a, &s.shard.pop3)
	s.CarryOut()
	s.Resumed()
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

// Taken goes on when the peer has taken what was sent.
func (s *pop3Conn) Taken(w conn.Wait) {
	if w == conn.ForListing {
		s.resume(pop3d.Answer{Verdict: pop3d.Yes})
		return
	}
	s.Begin()
	s.stream()
}

// Expired says whether the peer has more time: it has when only what was read ahead for it
// is given up.
func (s *pop3Conn) Expired(w conn.Wait) (again bool) {
	switch {
	case w == conn.ForTurn:
		s.waited()
	case w == conn.ForPenalty:
		s.resume(pop3d.Answer{Verdict: s.held})
	case w == conn.Nothing && s.early:
		s.early = false
		s.out.close(s.srv)
		s.Conn.SetDeadline(s.Port.Timeout - keepAhead)
		return true
	}
	return false
}

func (s *pop3Conn) Ended(err error) {
	s.abandonLogin()
	s.Release()
	s.srv.stats.pop3Sessions.Add(-1)
	disconnectPOP3(s.srv.log, s, err)
}

// Release gives the maildrop and the memory back, as soon as the session is over
// and not only when the peer has closed its end. A job under way keeps them.
func (s *pop3Conn) Release() {
	if s.job != nil && s.job.busy {
		return
	}
	s.out.close(s.srv)
	s.unlock()
	s.srv.budget.Listings.Release(s.listing)
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
	s.Reason = "a message could not be read"
	s.Closing = true
	s.Release()
	s.Conn.Abort()
}
