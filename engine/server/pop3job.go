package server

import (
	"errors"

	"postrider/engine/admit/login"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// jobKind is what a pool is to do for a POP3 session.
type jobKind uint8

const (
	jobLogin  jobKind = iota // lock and list the maildrop of a login
	jobRead                  // open a message
	jobPiece                 // read the next piece of a large message
	jobClose                 // close a large message
	jobUpdate                // delete
)

// pop3Job is the one thing that a pool does for a session at a time, and the
// task that brings the outcome back to its loop. While it is busy the fields of
// the session that it names belong to the pool.
type pop3Job struct {
	conn *pop3Conn
	kind jobKind
	busy bool // between submit and Run; read and written on the loop only

	attempt login.Attempt // of a login
	outcome login.Outcome // of the attempt
	judged  func(login.Outcome)
	ids     []storage.MessageID
	request readRequest // of jobRead; of jobUpdate its lock
	out     *reading    // of the connection: it belongs to the pool while busy

	err     error
	lock    storage.Lock
	listing *storage.Listing
	octets  int64
}

var (
	// errTooSoon: logged in less than pop3.login_delay ago.
	errTooSoon = errors.New("login delay")
)

func (j *pop3Job) begin(k jobKind) {
	j.kind, j.busy, j.err = k, true, nil
}

// Work runs on a goroutine of a pool.
func (j *pop3Job) Work() {
	defer j.conn.shard.loop.Post(j)
	defer func() {
		if p := recover(); p != nil {
			j.err = j.conn.srv.log.Panicked("POP3 job", p)
		}
	}()
	switch j.kind {
	case jobLogin:
		j.lock, j.listing, j.err = j.conn.srv.openMaildrop(j.outcome.Account.ID)
	case jobRead:
		j.octets, j.err = j.out.read(&j.request)
	case jobPiece:
		j.err = j.out.nextPiece()
	case jobClose:
		j.out.large.Close()
	case jobUpdate:
		j.err = j.request.lock.Expunge(j.ids)
	}
}

// Run implements loop.Task: the outcome is back on the session's loop.
func (j *pop3Job) Run() {
	j.busy = false
	s := j.conn
	if j.kind == jobClose {
		s.out.large, s.out.cut = nil, false
	}
	if !s.Conn.Alive() {
		if j.lock != nil && s.lock == nil {
			j.lock.Release()
		}
		s.Release()
		return
	}
	switch j.kind {
	case jobLogin:
		s.loggedIn(j)
	case jobRead:
		s.opened(j)
	case jobPiece:
		if j.err != nil {
			s.failed("the store can't read on", j.err)
			return
		}
		s.Begin()
		s.stream()
	case jobClose:
		s.srv.stats.octetsOut.Add(s.out.sent)
		s.resume(pop3d.Answer{Verdict: pop3d.Yes, Octets: s.out.sent})
	case jobUpdate:
		s.updated(j)
	}
}

// Unqueued implements job.
func (j *pop3Job) Unqueued() { j.busy = false }
