package pop3srv

import (
	"fmt"

	"postrider/engine/edge/loop"
	"postrider/engine/host/maillog"
	"postrider/storage"
)

// A job is a request to a pool, and its result. There is one for logins (loginJob), one for
// reads (readJob) and one for deletions (updateJob). While a pool has a job, all of the job
// belongs to the pool, and the session waits. A worker sees the job alone: neither the
// connection nor its machine.
//
// job is what all of them have: the way back.
type job struct {
	loop *loop.Loop // the session's
	done loop.Task  // takes the result, on loop
	log  maillog.Log
	err  error // the result, if it is none of the others
}

// end brings the result back to the loop. A method Work defers it: a panic is a result too.
func (j *job) end() {
	if p := recover(); p != nil {
		j.err = j.log.Panicked("POP3 job", p)
	}
	j.loop.Post(j.done)
}

// Unqueued implements conn.Job.
func (j *job) Unqueued() {
	j.err = errNoReader
	j.loop.Post(j.done)
}

// errNoReader is the result of a job that the pool has no room for. The pool has room for as
// many jobs as there may be connections.
var errNoReader = fmt.Errorf("%w: too many sessions wait for the pool of readers", storage.ErrTemporary)
