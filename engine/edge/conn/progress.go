package conn

import "time"

// Progress is the time that a client has left for its message (smtp.data_timeout and
// smtp.min_data_rate). It begins with data_timeout. Each octet adds its share of a second at
// min_data_rate, but there is never more than data_timeout left. So a client that stops for a
// while or is slow goes on, and one that sends an octet now and then comes to an end.
//
// An octet changes only a number: the time is settled by a look now and then.
type Progress struct {
	on     bool
	octets int64 // since the last look
	left   time.Duration
}

// Begin starts the time of a message.
func (p *Progress) Begin(limit time.Duration) { *p = Progress{on: true, left: limit} }

// Add counts octets of the message.
func (p *Progress) Add(octets int) { p.octets += int64(octets) }

// Stop ends the time of the message, and says whether it was running.
func (p *Progress) Stop() (was bool) {
	was, p.on = p.on, false
	return was
}

// IsOn says whether the time of a message runs.
func (p *Progress) IsOn() bool { return p.on }

// LookEvery is the time between two looks.
func LookEvery(limit time.Duration) time.Duration {
	return max(min(limit/3, time.Minute), time.Second)
}

// Look settles the time since the last look, and tells whether the client has time left.
// With a minRate of 0 an octet gives it all of limit.
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
