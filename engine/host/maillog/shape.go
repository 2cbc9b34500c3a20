package maillog

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// The messages of records whose text has a shape of Postfix's own. JSON has each fact as a
// field, and the event as "msg".
const (
	// Connect and Disconnect have the attributes client, and counts for Disconnect:
	// "connect from unknown[192.0.2.1]".
	Connect    = "connect"
	Disconnect = "disconnect"
	// Reject has verb, client, reply, and as far as they are known from, to, proto, helo:
	// "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 ...; from=<> to=<x> proto=ESMTP helo=<y>".
	Reject = "reject"
	// Client, MessageID, Queued and Delivery are lines of a message's life: their text is
	// their attributes alone.
	Client    = "client"
	MessageID = "message-id"
	Queued    = "queued"
	Delivery  = "delivery"
	// Removed is the last line of a message's life.
	Removed = "removed"
)

// appendShape appends the text of a record with a shape, or reports that it has none.
func appendShape(b []byte, r slog.Record) (_ []byte, ok bool) {
	switch r.Message {
	case Connect, Disconnect:
		b = append(append(b, r.Message...), " from "...)
		b = appendFact(b, r, "client", "", "")
		return appendFact(b, r, "counts", " ", ""), true
	case Reject:
		b = appendFact(b, r, "verb", "reject: ", "")
		b = appendFact(b, r, "client", " from ", "")
		b = appendFact(b, r, "reply", ": ", ";")
		b = appendFact(b, r, "from", " from=<", ">")
		b = appendFact(b, r, "to", " to=<", ">")
		b = appendFact(b, r, "proto", " proto=", "")
		return appendFact(b, r, "helo", " helo=<", ">"), true
	}
	return b, false
}

// isUnnamed reports whether the text of a record is its attributes alone.
func isUnnamed(event string) bool {
	switch event {
	case "", Client, MessageID, Queued, Delivery:
		return true
	}
	return false
}

// appendFact appends the value of an attribute, between two texts; nothing if the record
// does not have it.
func appendFact(b []byte, r slog.Record, key, before, after string) []byte {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != key {
			return true
		}
		b = append(appendSafe(append(b, before...), a.Value.String()), after...)
		return false
	})
	return b
}

// appendAttr appends an attribute to a line of text: "key=value", with angle brackets about
// addresses, and without the key where Postfix has none.
func appendAttr(b []byte, sep string, a slog.Attr) []byte {
	switch a.Key {
	case "from", "to", "orig_to":
		b = append(append(append(b, sep...), a.Key...), "=<"...)
		return append(appendValue(b, a.Value), '>')
	case "reason":
		return append(appendValue(append(b, " ("...), a.Value), ')')
	case "queue":
		return append(appendValue(append(b, " (queue "...), a.Value), ')')
	}
	b = append(append(append(b, sep...), a.Key...), '=')
	return appendValue(b, a.Value)
}

// appendField appends an attribute to a line of JSON. Facts that Postfix writes as one text
// are fields of their own: the name and the address of a client, the four delays, the
// counts of commands.
func appendField(b []byte, a slog.Attr) []byte {
	switch a.Key {
	case "client":
		name, address, ok := strings.Cut(a.Value.String(), "[")
		if !ok {
			break
		}
		b = appendQuoted(append(b, `,"client_name":`...), name)
		return appendQuoted(append(b, `,"client_address":`...), strings.TrimSuffix(address, "]"))
	case "delays":
		b = append(b, `,"delays":[`...)
		for i, s := range strings.Split(a.Value.String(), "/") {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, s...)
		}
		return append(b, ']')
	case "counts":
		b = append(b, `,"counts":{`...)
		for i, s := range strings.Fields(a.Value.String()) {
			name, count, _ := strings.Cut(s, "=")
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, name), ':')
			if _, err := strconv.Atoi(count); err == nil {
				b = append(b, count...)
			} else { // "1/2": one of two
				b = appendQuoted(b, count)
			}
		}
		return append(b, '}')
	}
	b = append(b, ',')
	b = appendQuoted(b, a.Key)
	b = append(b, ':')
	switch a.Value.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(b, a.Value.Int64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(b, a.Value.Bool())
	case slog.KindDuration:
		return strconv.AppendFloat(b, a.Value.Duration().Seconds(), 'f', 6, 64)
	}
	return appendQuoted(b, a.Value.String())
}

// AppendDelay appends a time in seconds as Postfix writes it: with two digits that count,
// and no part below 10 ms.
func AppendDelay(b []byte, d time.Duration) []byte {
	s := max(d, 0).Seconds()
	switch {
	case s >= 9.95:
		return strconv.AppendFloat(b, s, 'f', 0, 64)
	case s >= 0.995:
		b = strconv.AppendFloat(b, s, 'f', 1, 64)
	default:
		b = strconv.AppendFloat(b, s, 'f', 2, 64)
	}
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

// Delays are the parts of a delivery's time, as Postfix has them in delays=a/b/c/d.
type Delays struct {
	Before     time.Duration // until the message was in the queue
	Queue      time.Duration // until its delivery began
	Connection time.Duration // DNS, connection, greeting, TLS
	Transfer   time.Duration // the message
}

// AppendTo appends the parts, with a slash between them.
func (d Delays) AppendTo(b []byte) []byte {
	b = append(AppendDelay(b, d.Before), '/')
	b = append(AppendDelay(b, d.Queue), '/')
	b = append(AppendDelay(b, d.Connection), '/')
	return AppendDelay(b, d.Transfer)
}
