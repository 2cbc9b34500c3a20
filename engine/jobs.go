package engine

import (
	"errors"
	"sync"

	"postrider/engine/login"
	"postrider/engine/pop3d"
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

// work runs on a goroutine of a pool.
func (j *pop3Job) work() {
	defer j.conn.shard.loop.Post(j)
	defer func() {
		if p := recover(); p != nil {
			j.err = j.conn.srv.log.panicked("POP3 job", p)
		}
	}()
	switch j.kind {
	case jobLogin:
		j.lock, j.listing, j.err = j.conn.srv.openMaildrop(j.outcome.Account.ID)
	case jobRead:
		j.err = j.conn.read()
	case jobPiece:
		j.err = j.conn.nextPiece()
	case jobClose:
		j.conn.out.large.Close()
	case jobUpdate:
		j.err = j.conn.lock.Expunge(j.ids)
	}
}

// Run implements loop.Task: the outcome is back on the session's loop.
func (j *pop3Job) Run() {
	j.busy = false
	s := j.conn
	if j.kind == jobClose {
		s.out.large, s.out.cut = nil, false
	}
	if !s.conn.Alive() {
		if j.lock != nil && s.lock == nil {
			j.lock.Release()
		}
		s.release()
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
		s.begin()
		s.stream()
	case jobClose:
		s.srv.stats.octetsOut.Add(s.out.sent)
		s.resume(pop3d.Answer{Verdict: pop3d.Yes, Octets: s.out.sent})
	case jobUpdate:
		s.updated(j)
	}
}

// unqueued implements job.
func (j *pop3Job) unqueued() { j.busy = false }

// job is something that a pool does for a session.
type job interface {
	work()
	// unqueued is called in place of work when there was no room for the job.
	unqueued()
}

// pool runs jobs on a bounded number of goroutines, first come first served; but
// those that were told to wait for others come when nobody else does.
type pool struct {
	jobs, last chan job
	wg         sync.WaitGroup
}

// newPool starts workers goroutines that take jobs from queues of the given
// length, last of those for jobs that wait for others.
func newPool(workers, queue, last int) *pool {
	p := &pool{jobs: make(chan job, queue), last: make(chan job, last)}
	for range workers {
		p.wg.Go(func() {
			for j, ok := p.next(); ok; j, ok = p.next() {
				j.work()
			}
		})
	}
	return p
}

// next waits for a job; false when there will be none.
func (p *pool) next() (j job, ok bool) {
	select {
	case j, ok = <-p.jobs:
	default:
		select {
		case j, ok = <-p.jobs:
		case j, ok = <-p.last:
		}
	}
	if ok {
		return j, true
	}
	// One is closed and so will be the other: what is left in them.
	if j, ok = <-p.jobs; !ok {
		j, ok = <-p.last
	}
	return j, ok
}

// submit queues j and never blocks: false when the queue is full.
func (p *pool) submit(j job) bool { return queue(p.jobs, j) }

// submitLast is submit behind all that others submit, now or later.
func (p *pool) submitLast(j job) bool { return queue(p.last, j) }

func queue(to chan<- job, j job) bool {
	select {
	case to <- j:
		return true
	default:
		j.unqueued()
		return false
	}
}

// close waits for the jobs under way.
func (p *pool) close() {
	close(p.jobs)
	close(p.last)
	p.wg.Wait()
}
