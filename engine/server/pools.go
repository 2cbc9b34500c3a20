package server

import (
	"postrider/engine/admit/login"
	"postrider/engine/config"
	"postrider/engine/edge/conn"
)

// pools are goroutines that work for sessions, which must not wait.
type pools struct {
	readers    *conn.Pool // they read the store for POP3
	auth       *conn.Pool // they hash passwords
	converters *conn.Pool // they make lines of binary messages
	placers    *conn.Pool // they route the recipients of messages again
}

// readers is how many reads of the store go on at once.
const readers = 16

// SureConnections is what limits.connections may be raised to by Reload, whatever it was at
// the start: each session has at most one read in the queue for them.
const SureConnections = 1 << 16

// conversions is how many binary messages are converted at once, maxConversions how many
// more may wait for that.
const (
	conversions    = 2
	maxConversions = 256
)

// placers is how many messages have their recipients routed again at once, maxPlacing
// how many more may wait: mail of our own people, and again as much of untrusted clients,
// whose turn comes after it.
const (
	placers    = 2
	maxPlacing = 256
)

func newPools(c *config.Config) pools {
	return pools{
		readers:    conn.NewPool(readers, max(c.Limits.Connections, SureConnections), 0),
		auth:       conn.NewPool(c.AuthWorkers(), 1024, 1024),
		converters: conn.NewPool(conversions, maxConversions, 0),
		placers:    conn.NewPool(placers, maxPlacing, maxPlacing),
	}
}

// close waits until all jobs are done.
func (p *pools) close() {
	p.readers.Close()
	p.auth.Close()
	p.converters.Close()
	p.placers.Close()
}

// hash queues a login for the pool that hashes passwords.
func (p *pools) hash(a *login.Attempt, last bool) bool {
	if last {
		return p.auth.SubmitLast(hashing{a})
	}
	return p.auth.Submit(hashing{a})
}

// hashing is a login in the pool. With the method Work of its Attempt it implements conn.Job.
type hashing struct{ *login.Attempt }

// Unqueued implements conn.Job. Door.Judge has the outcome Busy then.
func (hashing) Unqueued() {}

// convert has a pool make lines of a binary message.
func (p *pools) convert(work, full func()) { p.converters.Submit(step{work, full}) }

// place has a pool route the recipients of a message again.
func (p *pools) place(last bool, work, full func()) {
	if last {
		p.placers.SubmitLast(step{work, full})
		return
	}
	p.placers.Submit(step{work, full})
}

// step is the job of a pool that carries out a step of a message.
type step struct{ carryOut, full func() }

func (s step) Work()     { s.carryOut() }
func (s step) Unqueued() { s.full() }
