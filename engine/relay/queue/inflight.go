package queue

import "postrider/storage"

// inFlight keeps an entry from being tried twice at once. An operator can make an
// entry due while it is being tried: then it is met again after the cursor, with
// another due time, though a job of it is in memory, or was when it was read. A
// second job would send the message a second time. So it is skipped, and read
// again when the first job is done: the store knows then what is left of it.
type inFlight struct {
	held   map[storage.EntryID]*Job // in memory
	gone   map[storage.EntryID]bool // whose jobs or claims ended while the destination was being read
	reread []*storage.QueueEntry    // to be read again, where they were
}

// hold notes that a job is in memory.
func (d *domain) hold(j *Job) {
	if d.held == nil {
		d.held = make(map[storage.EntryID]*Job)
	}
	d.held[j.Entry.ID] = j
}

// release notes that a job leaves memory.
func (d *domain) release(j *Job) {
	delete(d.held, j.Entry.ID)
	if j.moved != nil {
		d.reread = append(d.reread, j.moved)
	}
	if d.loading {
		d.goneMeanwhile(j.Entry.ID)
	}
}

// goneMeanwhile notes that what is being read may have an entry as it is no more.
func (d *domain) goneMeanwhile(id storage.EntryID) {
	if d.gone == nil {
		d.gone = make(map[storage.EntryID]bool)
	}
	d.gone[id] = true
}

// isInFlight reports whether an entry that was read is to be skipped.
func (d *domain) isInFlight(e *storage.QueueEntry) bool {
	if j := d.held[e.ID]; j != nil {
		// With the due time that the job knows, the entry was not changed.
		if !e.Due.Equal(j.Entry.Due) {
			j.moved = e
		}
		return true
	}
	if d.gone[e.ID] {
		d.reread = append(d.reread, e)
		return true
	}
	return false
}

// rewind puts the cursor before what is to be read again.
func (d *domain) rewind() {
	for _, e := range d.reread {
		d.back(e)
		d.more = true
	}
	d.reread = d.reread[:0]
}

// Claim keeps an entry out of memory until Unclaim, so that it can be settled without an
// attempt: a job would have the entry as it was before. It reports false if the entry has a
// job, or may be on its way to one: then the job's outcome settles it. One entry at a time is
// claimed. What the caller read of it before Claim may be old.
func (s *Scheduler) Claim(name string, id storage.EntryID) bool {
	if d := s.domains[name]; d != nil && (d.loading || d.held[id] != nil) {
		return false
	}
	s.claimed = id
	return true
}

// Unclaim ends Claim. What is being read of the entry is read again.
func (s *Scheduler) Unclaim(name string) {
	if d := s.domains[name]; d != nil && d.loading {
		d.goneMeanwhile(s.claimed)
	}
	s.claimed = storage.EntryID{}
}
