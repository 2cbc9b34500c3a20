package conn

import "sync"

// Job is work for a Pool.
type Job interface {
	// Work does the job, on a pool goroutine.
	Work()
	// Unqueued is called instead of Work when the queue is full, or the pool is closed.
	Unqueued()
}

// Pool runs jobs on a bounded number of goroutines, in order. Jobs from SubmitLast run when
// no other job waits.
type Pool struct {
	jobs, last chan Job
	wg         sync.WaitGroup

	closing sync.RWMutex // held for writing while the channels are closed
	closed  bool
}

// NewPool starts workers goroutines. Submit has room for queue jobs, SubmitLast for last
// jobs.
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

// next waits for a job. ok is false when the pool is closed and empty.
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
	// Close closes both channels: take the jobs that are left.
	if j, ok = <-p.jobs; !ok {
		j, ok = <-p.last
	}
	return j, ok
}

// Waiting is how many jobs are queued.
func (p *Pool) Waiting() int { return len(p.jobs) + len(p.last) }

// Submit queues j. It never blocks, and returns false when the queue is full or the pool is
// closed.
func (p *Pool) Submit(j Job) bool { return p.put(p.jobs, j) }

// SubmitLast queues j to run after all jobs from Submit, also later ones.
func (p *Pool) SubmitLast(j Job) bool { return p.put(p.last, j) }

func (p *Pool) put(to chan<- Job, j Job) bool {
	if p.queue(to, j) {
		return true
	}
	j.Unqueued()
	return false
}

// queue sends a job to the workers, if there is room. A message in its last steps may come
// with a job after Close: a drain does not wait for it forever.
func (p *Pool) queue(to chan<- Job, j Job) bool {
	p.closing.RLock()
	defer p.closing.RUnlock()
	if p.closed {
		return false
	}
	select {
	case to <- j:
		return true
	default:
		return false
	}
}

// Close waits until all jobs that were queued are done. Later calls only wait.
func (p *Pool) Close() {
	p.closing.Lock()
	if !p.closed {
		p.closed = true
		close(p.jobs)
		close(p.last)
	}
	p.closing.Unlock()
	p.wg.Wait()
}
