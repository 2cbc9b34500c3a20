// Package entry writes entries of the queue for people and as JSON.
//
// Reasons, addresses and envelopes are the words of other hosts: Printable keeps them
// from commanding a terminal. Times are local for people, and UTC in JSON.
package entry

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/front/admin"
	"postrider/storage"
)

// Name is an entry's id with its part, also the first one: without a part, an id means
// the whole message.
func Name(id storage.EntryID) string {
	return id.Message.String() + "-" + strconv.FormatUint(uint64(id.Part), 10)
}

// Line is an entry in JSON.
type Line struct {
	Entry       string      `json:"entry"`
	Domain      string      `json:"domain"`
	State       string      `json:"state"`
	Sender      string      `json:"sender"` // "": the null path
	Origin      string      `json:"origin"`
	EnvID       string      `json:"envid,omitempty"`
	Ret         string      `json:"ret,omitempty"`
	Body        string      `json:"body,omitempty"`
	SMTPUTF8    bool        `json:"smtputf8"`
	Size        int64       `json:"message_size"`
	Arrival     time.Time   `json:"arrival"`
	Due         time.Time   `json:"due,omitzero"`
	Warned      bool        `json:"warned"`
	Attempts    int         `json:"attempts"`
	LastAttempt time.Time   `json:"last_attempt,omitzero"`
	Status      string      `json:"status,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	Peer        string      `json:"peer,omitempty"`
	Recipients  []Recipient `json:"recipients"`
}

// Recipient is a recipient of an entry in JSON.
type Recipient struct {
	Address string `json:"address"`
	ORcpt   string `json:"orcpt,omitempty"`
	Notify  string `json:"notify,omitempty"`
	Status  string `json:"status,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// LineOf is everything that the queue knows of an entry.
func LineOf(e *storage.QueueEntry, now time.Time) Line {
	l := Line{
		Entry: Name(e.ID), Domain: e.Domain, State: string(admin.StateOf(e, now)),
		Sender: e.Envelope.ReversePath, Origin: e.Envelope.Origin, EnvID: e.Envelope.EnvID,
		Ret: RetName(e.Envelope.Ret), Body: BodyName(e.Envelope.Body), SMTPUTF8: e.Envelope.SMTPUTF8,
		Size: e.Size(), Arrival: e.Arrival.UTC(), Warned: e.Warned, Attempts: e.Attempts,
		LastAttempt: e.LastAttempt.UTC(), Status: e.Status, Reason: e.Reason, Peer: e.Peer,
	}
	if !e.Held {
		l.Due = e.DueAt().UTC()
	}
	for i := range e.Recipients {
		r := &e.Recipients[i]
		l.Recipients = append(l.Recipients, Recipient{r.ForwardPath, r.ORcpt, notifyName(r.Notify), e.StatusOf(r), e.ReasonOf(r)})
	}
	return l
}

// Show prints an entry for people, without empty fields.
func Show(out io.Writer, e *storage.QueueEntry, now time.Time) error {
	l := LineOf(e, now)
	utf8 := ""
	if l.SMTPUTF8 {
		utf8 = "yes"
	}
	fields := [][2]string{
		{"entry", l.Entry}, {"destination", l.Domain}, {"state", l.State}, {"sender", "<" + l.Sender + ">"}, {"origin", l.Origin},
		{"arrival", Time(e.Arrival)}, {"size", fmt.Sprint(l.Size)},
		{"envid", l.EnvID}, {"ret", l.Ret}, {"body", l.Body}, {"smtputf8", utf8},
		{"attempts", fmt.Sprint(l.Attempts)}, {"last attempt", Time(e.LastAttempt)}, {"peer", l.Peer},
		{"status", l.Status}, {"reason", l.Reason}, {"due", due(e, now)},
	}
	if l.Warned {
		fields = append(fields, [2]string{"warned", "the sender was notified of the delay"})
	}
	for _, f := range fields {
		if f[1] != "" {
			fmt.Fprintf(out, "%-13s %s\n", f[0]+":", Printable(f[1]))
		}
	}
	for i := range e.Recipients {
		if err := showRecipient(out, e, &e.Recipients[i]); err != nil {
			return err
		}
	}
	return nil
}

// showRecipient prints a recipient, and its last attempt if it ended in another way
// than the entry's.
func showRecipient(out io.Writer, e *storage.QueueEntry, r *storage.QueuedRecipient) error {
	line := "<" + r.ForwardPath + ">"
	if r.ORcpt != "" {
		line += " orcpt=" + r.ORcpt
	}
	if r.Notify != 0 {
		line += " notify=" + notifyName(r.Notify)
	}
	if r.Status != "" || r.Reason != "" {
		line += ": " + strings.TrimSpace(e.StatusOf(r)+" "+e.ReasonOf(r))
	}
	_, err := fmt.Fprintf(out, "%-13s %s\n", "recipient:", Printable(line))
	return err
}

// Sender returns the reverse-path; for the null path, the name that Postfix prints.
func Sender(e *storage.QueueEntry) string {
	if e.Envelope.ReversePath == "" {
		return "MAILER-DAEMON"
	}
	return Printable(e.Envelope.ReversePath)
}

// Printable replaces control characters by "?": reasons are text from other hosts,
// which must not control a terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// Time formats a time for people; the zero time is "".
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 -0700")
}

// due formats when an entry is tried next.
func due(e *storage.QueueEntry, now time.Time) string {
	switch {
	case e.Held:
		return "never: it is held (\"postrider queue release\")"
	case e.IsDue(now):
		return "now"
	}
	return Time(e.DueAt())
}

// RetName is the value of RET; nothing when it was not given.
func RetName(r smtp.Ret) string { return [...]string{"", "FULL", "HDRS"}[min(r, 2)] }

// BodyName is the value of BODY; nothing when it was not given.
func BodyName(b smtp.Body) string {
	return [...]string{"", "7BIT", "8BITMIME", "BINARYMIME"}[min(b, 3)]
}

func notifyName(n smtp.Notify) string {
	var words []string
	for i, word := range []string{"NEVER", "SUCCESS", "FAILURE", "DELAY"} {
		if n&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, ",")
}
