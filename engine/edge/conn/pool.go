package conn

import "sync"

// Job is something that a pool does for a session.
type Job interface {
	// Work runs on a goroutine of the pool.
	Work()
	// Unqueued is called in place of Work when there was no room for the job.
	Unqueued()
}

// Pool runs jobs on a bounded number of goroutines, first come first served; but
// jobs of SubmitLast run when no other job waits.
type Pool struct {
	jobs, last chan Job
	wg         sync.WaitGroup
}

// NewPool starts workers goroutines that take jobs from queues of the given
// length, last of those for jobs that wait for others.
func NewPool(workers, queue, last int) *Pool {
	p := &Pool{jobs: make(chan Job, queue), last: make(chan Job, last)}
	for range workers {
		p.wg.Go(func() {
			for j, ok := p.next(); ok; j, ok = p.next() {
				j.Work()
			}
		})
	}
	return p
}

// next waits for a job; false when there will be none.
func (p *Pool) next() (j Job, ok bool) {
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

// Waiting is how many jobs no goroutine has begun.
func (p *Pool) Waiting() int { return len(p.jobs) + len(p.last) }

// Submit queues j and never blocks: false when the queue is full.
func (p *Pool) Submit(j Job) bool { return put(p.jobs, j) }

// SubmitLast is Submit after all that others submit, now or later.
func (p *Pool) SubmitLast(j Job) bool { return put(p.last, j) }

func put(to chan<- Job, j Job) bool {
	select {
	case to <- j:
		return true
	default:
		j.Unqueued()
		return false
	}
}

// Close waits for the jobs under way.
func (p *Pool) Close() {
	close(p.jobs)
	close(p.last)
	p.wg.Wait()
}
