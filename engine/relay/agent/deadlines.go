package agent

import (
	"time"

	"postrider/engine/protocol/smtpclient"
)

// deadlines are a peer's deadlines for one message over one connection. Each reply has
// a deadline as a whole, and so have all commands together, the message, and the reply to
// the message. A peer that sends single octets renews none of them.
type deadlines struct {
	times    *Times
	size     int64
	dialogue time.Time // for all commands before the message
	body     time.Time // for the message; zero: it has not begun
	reply    time.Time // for the next reply; zero: not waiting yet
}

// dialogueReplies times relay.command_timeout is the limit for the commands before a
// message, and the time after which an attempt tries no other host.
const dialogueReplies = 3

// maxAttempt is the time after which an attempt begins no further transaction. Some hosts
// accept only few recipients in each.
const maxAttempt = time.Hour

// deadlines returns the deadlines for a message that begins now.
func (c *Courier) deadlines(now time.Time, size int64) deadlines {
	t := &c.rules().Times
	return deadlines{times: t, size: size, dialogue: now.Add(dialogueReplies * t.Command)}
}

// beginBody sets the deadline for the message, which is sent now.
func (d *deadlines) beginBody(now time.Time) {
	d.body = now.Add(d.times.Data)
	if rate := d.times.MinDataRate; rate > 0 {
		d.body = d.body.Add(time.Duration(float64(d.size) / float64(rate) * float64(time.Second)))
	}
}

// next returns the deadline for a wait that begins now (RFC 5321 section 4.5.3.2).
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

// handshake returns the deadline for a TLS handshake that begins now.
func (d *deadlines) handshake(now time.Time) time.Time {
	return earlier(now.Add(handshakeLimit), d.next(now, smtpclient.WaitCommand))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
