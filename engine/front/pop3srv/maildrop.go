package pop3srv

import (
	"postrider/engine/admit/login"
	"postrider/engine/host/history"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// maildrop is what a session has from its login on.
type maildrop struct {
	user     string       // for the log
	lock     storage.Lock // nil: given back
	signedIn login.SignedIn
	listed   int64 // octets booked in Memory.Listings
	waits    pending
	reading  reading
	update   updateJob
}

// pending is what a maildrop has under way outside of its loop.
type pending uint8

const (
	nothing   pending = iota
	forBuffer         // a place in the queue of Memory.Bulk
	forJob            // a pool has a job, and with it the lock and the buffer
)

// Release gives back the maildrop and the memory, as soon as the session is over and not
// only when the peer has closed its end. A job under way keeps them until it is done.
func (s *session) Release() {
	m := s.maildrop
	if m == nil || m.waits == forJob {
		return
	}
	if m.waits == forBuffer && m.reading.cancel() {
		m.waits = nothing
	}
	m.reading.close()
	if m.lock != nil {
		m.lock.Release()
		m.lock = nil
	}
	s.service.memory.Listings.Release(m.listed)
	m.listed = 0
}

// loginEnds ends the session, before its next command, when the account has another password
// than at the login or is gone. What was marked as deleted stays.
func (s *session) loginEnds() bool {
	m := s.maildrop
	if m == nil || m.lock == nil || s.service.door.StillHolds(&m.signedIn) {
		return false
	}
	s.Reason = login.Changed
	s.machine.Expire(&s.state.effects)
	s.CarryOut()
	return true
}

// updateJob deletes messages, in one step.
type updateJob struct {
	job
	lock storage.Lock
	ids  []storage.MessageID

	history      *history.Log
	user, client string // for the history
}

// Work implements conn.Job.
func (j *updateJob) Work() {
	defer j.end()
	if j.err = j.lock.Expunge(j.ids); j.err == nil {
		j.history.AddDeleted(j.ids, j.user, "pop3", j.client)
	}
}

// update answers AskUpdate, which comes once: at QUIT.
func (s *session) update() {
	m := s.maildrop
	m.update = updateJob{job: s.newJob((*updateDone)(s)), lock: m.lock, ids: s.machine.AppendDeleted(nil),
		history: s.service.history, user: m.user, client: s.Client()}
	m.waits = forJob
	s.service.readers.Submit(&m.update)
}

// updateDone is the task that takes the result of an update.
type updateDone session

// Run implements loop.Task.
func (d *updateDone) Run() {
	s := (*session)(d)
	m := s.maildrop
	m.waits = nothing
	if !s.Conn.Alive() {
		s.Release()
		return
	}
	a := pop3d.Answer{Verdict: pop3d.Yes}
	if m.update.err != nil {
		s.fault("deleting mail of "+m.user, m.update.err)
		a.Verdict = pop3d.Temporary
	}
	s.resume(a)
}
