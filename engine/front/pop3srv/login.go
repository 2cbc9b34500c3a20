package pop3srv

import (
	"errors"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/admit/signin"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// loginJob judges a claim and opens the maildrop of its account. A session makes it at its
// first login and uses it again until one is granted.
type loginJob struct {
	job
	signin.Login
	maildrops *maildrops

	// The result. With a maildrop both of lock and listing are there.
	outcome login.Outcome // on its way to the loop
	lock    storage.Lock
	listing *storage.Listing
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
		j.Login = signin.New(s.service.door, j.afterHash)
		s.login = j
	}
	a := &s.login.Attempt
	a.Claim, a.Timestamp, a.From, a.Protocol = claim, "", s.IP, login.POP3
	if q == pop3d.AskAPOP {
		a.Claim.User, a.Claim.Digest, a.Timestamp = s.machine.User(), s.machine.Digest(), s.machine.Timestamp()
	}
	s.login.err = nil
	return s.authenticated(s.login.Judge(&s.Session))
}

// authenticated is the answer that a verdict brings. After a login that is granted the maildrop
// is opened: in the pool that has hashed the password, or if there was nothing to hash, in the
// pool of readers. So a client that polls does not wait for clients that guess.
func (s *session) authenticated(v login.Verdict, now bool) (pop3d.Answer, bool) {
	if !now {
		return pop3d.Answer{}, false
	}
	verdict := pop3d.Temporary
	switch v {
	case login.Granted:
		s.login.outcome = s.login.Outcome
		s.service.readers.Submit(s.login)
		return pop3d.Answer{}, false
	case login.Denied:
		verdict = pop3d.Denied
	case login.TooMany:
		verdict = pop3d.TooManyFailed
	}
	return pop3d.Answer{Verdict: verdict}, true
}

// resumeLogin answers the question of a login if there is a verdict.
func (s *session) resumeLogin(v login.Verdict, now bool) {
	if a, known := s.authenticated(v, now); known {
		s.resume(a)
	}
}

// abandonLogin gives up a claim that waits for its turn, and reports whether there was one.
func (s *session) abandonLogin() bool { return s.login != nil && s.login.Abandon() }

// loginDone is the task that takes the result of a login.
type loginDone session

// Run implements loop.Task.
func (d *loginDone) Run() {
	s := (*session)(d)
	j := s.login
	clear(j.Attempt.Claim.Password)
	switch {
	case !s.Conn.Alive():
		if j.lock != nil {
			j.lock.Release()
			j.lock = nil
		}
	case j.outcome.Verdict != login.Granted:
		s.resumeLogin(j.Settle(&s.Session, j.outcome))
	default:
		s.resume(s.loggedIn(j))
	}
}

// loggedIn is the answer to a login that is granted. The session takes the maildrop.
func (s *session) loggedIn(j *loginJob) pop3d.Answer {
	user, lock, l := j.Attempt.Claim.User, j.lock, j.listing
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
