package conn

import (
	"slices"
	"sync"
)

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

	mu      sync.Mutex
	workers []chan struct{} // one is closed to end its worker; guarded by mu

	closing sync.RWMutex // held for writing while the channels are closed
	closed  bool
}

// NewPool starts workers goroutines. Submit has room for queue jobs, SubmitLast for last
// jobs.
func NewPool(workers, queue, last int) *Pool {
	p := &Pool{jobs: make(chan Job, queue), last: make(chan Job, last)}
	p.Resize(workers)
	return p
}

// Resize changes the number of goroutines. Goroutines that are too many end after the job that
// they are at. Close comes after the last call.
func (p *Pool) Resize(workers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.workers) < workers {
		end := make(chan struct{})
		p.workers = append(p.workers, end)
		p.wg.Go(func() { p.work(end) })
	}
	for _, end := range p.workers[workers:] {
		close(end)
	}
	p.workers = slices.Delete(p.workers, workers, len(p.workers))
}

// Workers is how many jobs may run at once.
func (p *Pool) Workers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.workers)
}

// work runs jobs until end or the pool is closed.
func (p *Pool) work(end <-chan struct{}) {
	for j, ok := p.next(end); ok; j, ok = p.next(end) {
		j.Work()
	}
}

// next waits for a job. ok is false when end is closed, or the pool is closed and empty.
func (p *Pool) next(end <-chan struct{}) (j Job, ok bool) {
	select {
	case <-end:
		return nil, false
	default:
	}
	select {
	case j, ok = <-p.jobs:
	default:
		select {
		case <-end:
			return nil, false
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
