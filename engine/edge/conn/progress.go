package conn

import "time"

// Progress is the time that a client has left for its message (smtp.data_timeout and
// smtp.min_data_rate). It begins with data_timeout. Each octet adds its share of a second at
// min_data_rate, but never more than data_timeout is left. So a client may be slow or pause
// for a while, but a client that sends only an octet now and then is cut off.
//
// Add only counts octets. Look computes the time, now and then.
type Progress struct {
	on     bool
	octets int64 // since the last Look
	left   time.Duration
}

// Begin starts the time for a message.
func (p *Progress) Begin(limit time.Duration) { *p = Progress{on: true, left: limit} }

// Add counts octets of the message.
func (p *Progress) Add(octets int) { p.octets += int64(octets) }

// Stop stops the time for the message, and reports whether it was running.
func (p *Progress) Stop() (was bool) {
	was, p.on = p.on, false
	return was
}

// IsOn reports whether the time for a message runs.
func (p *Progress) IsOn() bool { return p.on }

// LookEvery is the time between two calls of Look.
func LookEvery(limit time.Duration) time.Duration {
	return max(min(limit/3, time.Minute), time.Second)
}

// Look subtracts the time since the last Look, adds the time for new octets, and reports
// whether the client has time left. With a minRate of 0 one octet gives the whole limit.
func (p *Progress) Look(minRate int64, limit time.Duration) bool {
	p.left -= LookEvery(limit)
	switch {
	case p.octets == 0:
	case minRate == 0:
		p.left = limit
	default:
		earned := float64(p.octets) / float64(minRate) * float64(time.Second)
		p.left = min(limit, p.left+time.Duration(min(earned, float64(limit))))
	}
	p.octets = 0
	return p.left > 0
}
