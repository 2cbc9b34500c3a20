package pop3srv

import (
	"errors"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/edge/conn"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// loginJob judges a claim and opens the maildrop of its account. A session makes it at its
// first login and uses it again until one is granted.
type loginJob struct {
	job
	maildrops *maildrops
	attempt   login.Attempt
	judged    func(login.Outcome) // the method afterHash, made once

	// The result. With a maildrop both of lock and listing are there.
	outcome login.Outcome
	lock    storage.Lock
	listing *storage.Listing

	held pop3d.Verdict // for the loop: the answer that waits for the delay of a failed login
}

// Work implements conn.Job.
func (j *loginJob) Work() {
	defer j.end()
	j.lock, j.listing, j.err = j.maildrops.open(j.outcome.Account.ID)
}

// afterHash goes on with a login in the pool that has hashed its password.
func (j *loginJob) afterHash(o login.Outcome) {
	if j.outcome = o; o.Verdict == login.Granted {
		j.Work()
		return
	}
	j.loop.Post(j.done)
}

// authenticate answers AskLogin, AskAPOP and AskAuth: at once, or after the work of a pool.
func (s *session) authenticate(q pop3d.Question) (pop3d.Answer, bool) {
	if s.service.draining() {
		return pop3d.Answer{Verdict: pop3d.Shutdown}, true
	}
	claim := s.machine.Claim()
	if claim.Need == sasl.NeedVerifier {
		return pop3d.Answer{Verdict: pop3d.Yes, Verifier: s.service.door.Verifier(claim.User)}, true
	}
	if s.login == nil {
		j := &loginJob{job: s.newJob((*loginDone)(s)), maildrops: &s.service.maildrops}
		j.judged = j.afterHash
		s.login = j
	}
	a := &s.login.attempt
	a.Claim, a.Timestamp, a.From, a.Protocol = claim, "", s.IP, login.POP3
	if q == pop3d.AskAPOP {
		a.Claim.User, a.Claim.Digest, a.Timestamp = s.machine.User(), s.machine.Digest(), s.machine.Timestamp()
	}
	return s.judge()
}

// judge has the claim judged, for the first time or after its turn has come. The maildrop is
// opened in the pool that has hashed the password. If there was nothing to hash, it is opened
// in the pool of readers: a client that polls does not wait for clients that guess.
func (s *session) judge() (pop3d.Answer, bool) {
	j := s.login
	j.err = nil
	o, now := s.service.door.Judge(&j.attempt, j.judged)
	switch {
	case !now:
		return pop3d.Answer{}, false
	case o.Verdict != login.Granted:
		return s.refuseLogin(o)
	}
	j.outcome = o
	s.service.readers.Submit(j)
	return pop3d.Answer{}, false
}

// judgeAgain goes on with a claim whose turn has come.
func (s *session) judgeAgain() {
	s.Park()
	if a, now := s.judge(); now {
		s.resume(a)
	}
}

// abandonLogin gives up a claim that waits for its turn, and reports whether there was one.
func (s *session) abandonLogin() bool {
	return s.login != nil && s.service.door.Abandon(&s.login.attempt)
}

// refuseLogin is the answer to a login that is not granted. It may have to wait.
func (s *session) refuseLogin(o login.Outcome) (pop3d.Answer, bool) {
	switch o.Verdict {
	case login.Denied:
		return s.hold(pop3d.Denied, o.Wait)
	case login.TooMany:
		return s.hold(pop3d.TooManyFailed, o.Wait)
	case login.Turn:
		s.WaitFor(conn.ForTurn, o.Wait)
		return pop3d.Answer{}, false
	}
	return pop3d.Answer{Verdict: pop3d.Temporary}, true
}

// hold keeps the answer to a login that failed for the delay of a failed login.
func (s *session) hold(v pop3d.Verdict, wait time.Duration) (pop3d.Answer, bool) {
	if wait == 0 {
		return pop3d.Answer{Verdict: v}, true
	}
	s.login.held = v
	s.WaitFor(conn.ForPenalty, wait)
	return pop3d.Answer{}, false
}

// loginDone is the task that takes the result of a login.
type loginDone session

// Run implements loop.Task.
func (d *loginDone) Run() {
	s := (*session)(d)
	j := s.login
	clear(j.attempt.Claim.Password)
	switch {
	case !s.Conn.Alive():
		if j.lock != nil {
			j.lock.Release()
			j.lock = nil
		}
	case j.outcome.Verdict != login.Granted:
		if a, now := s.refuseLogin(j.outcome); now {
			s.resume(a)
		}
	default:
		s.resume(s.loggedIn(j))
	}
}

// loggedIn is the answer to a login that is granted. The session takes the maildrop.
func (s *session) loggedIn(j *loginJob) pop3d.Answer {
	user, lock, l := j.attempt.Claim.User, j.lock, j.listing
	j.lock, j.listing = nil, nil
	switch {
	case errors.Is(j.err, storage.ErrInUse):
		return pop3d.Answer{Verdict: pop3d.InUse}
	case errors.Is(j.err, errTooSoon):
		return pop3d.Answer{Verdict: pop3d.TooSoon}
	case j.err != nil:
		s.service.log.Fault("login of "+user, j.err)
		return pop3d.Answer{Verdict: pop3d.Temporary}
	}
	listed := l.Memory()
	if !s.service.memory.Listings.Reserve(listed) {
		s.service.Stats.OverBudget.Add(1)
		lock.Release()
		return pop3d.Answer{Verdict: pop3d.Temporary}
	}
	s.maildrop = &maildrop{user: user, lock: lock, signedIn: j.outcome.SignedIn, listed: listed}
	s.maildrop.reading.job = readJob{job: s.newJob((*readDone)(s))}
	s.maildrop.reading.buffers = &s.service.buffers
	s.login = nil // no other login follows
	s.service.door.Stats.POP3.Add(1)
	s.LoggedIn()
	days := inDays(j.outcome.Account.ExpiresAfter(s.service.set.Load().Expire))
	return pop3d.Answer{Verdict: pop3d.Yes, Listing: l, Expire: days}
}
