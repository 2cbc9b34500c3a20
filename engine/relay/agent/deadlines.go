package agent

import (
	"time"

	"postrider/engine/protocol/smtpclient"
)

// deadlines are the times that a peer has for one message over one connection. Each
// reply has one as a whole, and so have the commands together, the message, and the
// reply to it: octets that trickle renew none of them.
type deadlines struct {
	times    *Times
	size     int64
	dialogue time.Time // of all commands before the message
	body     time.Time // of the message; zero: it has not begun
	reply    time.Time // of the reply that is waited for; zero: nothing is waited for yet
}

// dialogueReplies is how many times relay.command_timeout the commands before a message
// take at most, and how many an attempt may have taken when another host is asked.
const dialogueReplies = 3

// mostAttempt is how long an attempt begins further transactions, for a host that takes
// few recipients in each.
const mostAttempt = time.Hour

// deadlines are those of a message that begins now.
func (c *Courier) deadlines(now time.Time, size int64) deadlines {
	t := &c.settings.Times
	return deadlines{times: t, size: size, dialogue: now.Add(dialogueReplies * t.Command)}
}

// beginBody says that the message is sent now.
func (d *deadlines) beginBody(now time.Time) {
	d.body = now.Add(d.times.Data)
	if rate := d.times.MinDataRate; rate > 0 {
		d.body = d.body.Add(time.Duration(float64(d.size) / float64(rate) * float64(time.Second)))
	}
}

// next is until when the peer has time for what it is waited for from now on (RFC 5321
// section 4.5.3.2).
func (d *deadlines) next(now time.Time, w smtpclient.Wait) time.Time {
	t := d.times
	switch w {
	case smtpclient.WaitDataInit:
		return earlier(now.Add(min(t.Command, 2*time.Minute)), d.dialogue)
	case smtpclient.WaitDataBlock:
		at := now.Add(t.Data)
		if t.MinDataRate > 0 && !d.body.IsZero() {
			at = earlier(at, d.body)
		}
		return at
	case smtpclient.WaitDataDone:
		return now.Add(t.Reply)
	case smtpclient.WaitNothing:
		return now.Add(t.Command)
	}
	return earlier(now.Add(t.Command), d.dialogue)
}

// handshake is until when a TLS handshake that begins now has time.
func (d *deadlines) handshake(now time.Time) time.Time {
	return earlier(now.Add(handshakeLimit), d.next(now, smtpclient.WaitCommand))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
