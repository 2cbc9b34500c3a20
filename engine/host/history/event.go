package history

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"postrider/storage"
)

// Kind is what has happened.
type Kind uint8

// The kinds of events. Their numbers are in files: none is ever used for another thing.
const (
	Received Kind = 1 // the message is stored
	Attempt  Kind = 2 // an attempt to deliver recipients of the queue was made
	Notified Kind = 3 // the sender was notified
	Act      Kind = 4 // an operator has done something to an entry of the queue, or to the message in a maildrop
	Deleted  Kind = 5 // the message was deleted from a maildrop
	More     Kind = 6 // recipients for which the event before it had no room
)

var kinds = map[Kind]string{Received: "received", Attempt: "attempt", Notified: "notified", Act: "act", Deleted: "deleted", More: "more"}

// String is the kind in one word.
func (k Kind) String() string {
	if name, ok := kinds[k]; ok {
		return name
	}
	return "unknown"
}

// Fact is something that is known of an event. To and Queued begin what is known of one
// recipient: the facts after it are about that recipient.
type Fact uint8

// The facts. Their numbers are in files: none is ever used for another thing.
const (
	Door       Fact = 1  // smtp, submission, sendmail, web, import, notification, queue
	Origin     Fact = 2  // the program and its user, where no client is
	Client     Fact = 3  // name[address]
	Helo       Fact = 4  // the name in HELO or EHLO
	Proto      Fact = 5  // ESMTPSA
	Login      Fact = 6  // the account
	Mechanism  Fact = 7  // the mechanism of AUTH
	TLS        Fact = 8  // version and cipher suite
	Sender     Fact = 9  // the reverse-path, without brackets
	Size       Fact = 10 // octets
	MessageID  Fact = 11 // the field of the header
	Paths      Fact = 12 // accepted forward-paths
	Connected  Fact = 13 // when the client connected
	Mailed     Fact = 14 // when MAIL came
	Began      Fact = 15 // when the first octet came; of an attempt: when it was begun
	Ended      Fact = 16 // when the message had come whole
	Results    Fact = 17 // what SPF, DKIM and DMARC found
	To         Fact = 18 // a maildrop; of an attempt: a forward-path
	Original   Fact = 19 // the address that led to To or Queued
	Queued     Fact = 20 // a forward-path that goes into the queue
	Part       Fact = 21 // the entry of the queue
	Try        Fact = 22 // the number of the attempt
	Relay      Fact = 23 // name[address]:port of the host, or local
	Uses       Fact = 24 // messages that the connection has carried, with this one
	Handed     Fact = 25 // when the host was ready for the message
	Status     Fact = 26 // sent, deferred, bounced, expired
	DSN        Fact = 27 // 4.2.1
	Reason     Fact = 28 // why, in one line
	Line       Fact = 29 // a line of the dialogue with a host
	Due        Fact = 30 // when the next attempt may be made
	Other      Fact = 31 // another message: the notification, or what it is about
	Words      Fact = 32 // what was done
	By         Fact = 33 // the user or program that did it
	Account    Fact = 34 // the maildrop
	LeftOut    Fact = 35 // facts that had no room
	Domain     Fact = 36 // the destination
	Tried      Fact = 37 // a host that was tried, and what it said
	Connection Fact = 38 // the TLS of the connection to a host
)

// form is how the value of a fact is kept.
type form uint8

const (
	asText form = iota
	asNumber
	asTime
)

// facts are the names of the facts in JSON, and their forms.
var facts = map[Fact]struct {
	name string
	form form
}{
	Door: {"door", asText}, Origin: {"origin", asText}, Client: {"client", asText}, Helo: {"helo", asText}, Proto: {"proto", asText},
	Login: {"login", asText}, Mechanism: {"mechanism", asText}, TLS: {"tls", asText}, Sender: {"from", asText}, Size: {"size", asNumber},
	MessageID: {"message_id", asText}, Paths: {"nrcpt", asNumber}, Connected: {"connected", asTime}, Mailed: {"mailed", asTime},
	Began: {"began", asTime}, Ended: {"ended", asTime}, Results: {"authentication_results", asText}, To: {"to", asText},
	Original: {"orig_to", asText}, Queued: {"queued", asText}, Part: {"part", asNumber}, Try: {"attempt", asNumber}, Relay: {"relay", asText},
	Uses: {"conn_use", asNumber}, Handed: {"handed", asTime}, Status: {"status", asText}, DSN: {"dsn", asText}, Reason: {"reason", asText},
	Line: {"dialogue", asText}, Due: {"due", asTime}, Other: {"message", asText}, Words: {"act", asText}, By: {"by", asText},
	Account: {"account", asText}, LeftOut: {"left_out", asNumber}, Domain: {"domain", asText}, Tried: {"tried", asText}, Connection: {"connection", asText},
}

// Name is the fact's key in JSON; "" for one that this program does not know.
func (f Fact) Name() string { return facts[f].name }

// IsNumber and IsTime tell which field of a Value has the fact.
func (f Fact) IsNumber() bool { return facts[f].form == asNumber }

// IsTime reports whether the fact is a time.
func (f Fact) IsTime() bool { return facts[f].form == asTime }

const (
	// maxEvent bounds an event in octets, maxText the value of a fact.
	maxEvent = 24 << 10
	maxText  = 1024
	// heldBack is kept free for the facts that end an event: LeftOut among them.
	heldBack = 64
)

// Event is an event that is being made. It is the caller's until Log.Add.
type Event struct {
	b       []byte
	leftOut int64
}

var events = sync.Pool{New: func() any { return new(Event) }}

// headLen is what an event has before its facts: kind, id and time.
const headLen = 1 + 8 + 8

// newEvent begins an event.
func newEvent(k Kind, id storage.MessageID, at time.Time) *Event {
	e := events.Get().(*Event)
	e.leftOut = 0
	e.b = append(e.b[:0], byte(k))
	e.b = binary.BigEndian.AppendUint64(e.b, uint64(id))
	e.b = binary.BigEndian.AppendUint64(e.b, uint64(at.UnixMicro()))
	return e
}

// HasRoom reports whether so many octets of facts still have room.
func (e *Event) HasRoom(octets int) bool { return len(e.b)+octets+heldBack <= maxEvent }

// Text adds a fact; an empty one is none. More than a kilobyte is cut.
func (e *Event) Text(f Fact, s string) { add(e, f, s) }

// Octets is Text for octets, which are copied.
func (e *Event) Octets(f Fact, s []byte) { add(e, f, s) }

func add[T string | []byte](e *Event, f Fact, s T) {
	if len(s) == 0 {
		return
	}
	s = s[:min(len(s), maxText)]
	if !e.HasRoom(len(s)) {
		e.leftOut++
		return
	}
	e.b = binary.AppendUvarint(append(e.b, byte(f)), uint64(len(s)))
	e.b = append(e.b, s...)
}

// Number adds a fact.
func (e *Event) Number(f Fact, n int64) {
	if !e.HasRoom(0) {
		e.leftOut++
		return
	}
	e.number(f, n)
}

func (e *Event) number(f Fact, n int64) {
	at := len(e.b) + 1
	e.b = binary.AppendVarint(append(e.b, byte(f), 0), n)
	e.b[at] = byte(len(e.b) - at - 1)
}

// Time adds a fact; the zero time is none.
func (e *Event) Time(f Fact, t time.Time) {
	if !t.IsZero() {
		e.Number(f, t.UnixMicro())
	}
}

// Omit counts facts that are left out because of HasRoom.
func (e *Event) Omit(n int) { e.leftOut += int64(n) }

// end adds what was left out.
func (e *Event) end() {
	if e.leftOut > 0 {
		e.number(LeftOut, e.leftOut)
	}
}

// Value is a fact with its value.
type Value struct {
	Fact   Fact   `json:"f"`
	Text   string `json:"t,omitempty"`
	Number int64  `json:"n,omitempty"`
}

// Time is the value of a fact that is a time.
func (v Value) Time() time.Time { return time.UnixMicro(v.Number) }

// Read is an event as it is read again.
type Read struct {
	ID    storage.MessageID `json:"id"`
	At    time.Time         `json:"at"`
	Kind  Kind              `json:"kind"`
	Facts []Value           `json:"facts"`
}

// octets is what the event takes in memory, more or less.
func (r *Read) octets() int {
	const read, value = 64, 32 // the sizes of the types
	n := read + cap(r.Facts)*value
	for i := range r.Facts {
		n += len(r.Facts[i].Text)
	}
	return n
}

// Text is the first text of a fact; "" for none.
func (r *Read) Text(f Fact) string {
	for _, v := range r.Facts {
		if v.Fact == f {
			return v.Text
		}
	}
	return ""
}

// Number is the first number of a fact.
func (r *Read) Number(f Fact) (n int64, ok bool) {
	for _, v := range r.Facts {
		if v.Fact == f {
			return v.Number, true
		}
	}
	return 0, false
}

// parse reads an event; ok is false for octets that are none. Facts of a later program are
// left out, and so are the facts in without.
func parse(b []byte, without ...Fact) (r Read, ok bool) {
	if len(b) < headLen {
		return r, false
	}
	r.Kind, r.ID = Kind(b[0]), idOf(b)
	r.At = time.UnixMicro(int64(binary.BigEndian.Uint64(b[9:])))
	for b = b[headLen:]; len(b) > 0; {
		f, value, rest, ok := nextFact(b)
		if !ok {
			return r, false
		}
		b = rest
		known, ok := facts[f]
		if !ok || slices.Contains(without, f) {
			continue
		}
		v := Value{Fact: f}
		if known.form == asText {
			v.Text = string(value)
		} else {
			n, used := binary.Varint(value)
			if used <= 0 {
				return r, false
			}
			v.Number = n
		}
		r.Facts = append(r.Facts, v)
	}
	return r, true
}

// nextFact cuts the first fact off the facts of an event.
func nextFact(b []byte) (f Fact, value, rest []byte, ok bool) {
	n, used := binary.Uvarint(b[1:])
	if used <= 0 || n > uint64(len(b)-1-used) {
		return 0, nil, nil, false
	}
	end := 1 + used + int(n)
	return Fact(b[0]), b[1+used : end], b[end:], true
}

// valueOf is the first value of a fact in an event with a head; nil: it has none.
func valueOf(b []byte, asked Fact) []byte {
	for b = b[headLen:]; len(b) > 0; {
		f, value, rest, ok := nextFact(b)
		if !ok {
			break
		}
		if f == asked {
			return value
		}
		b = rest
	}
	return nil
}

// idOf is the message of an event with a head.
func idOf(b []byte) storage.MessageID { return storage.MessageID(binary.BigEndian.Uint64(b[1:])) }

// timeOf is the time of an event with a head, in microseconds since 1970.
func timeOf(b []byte) int64 { return int64(binary.BigEndian.Uint64(b[9:])) }

// nextEvent cuts the first event off a sequence of them, each with its length before it.
func nextEvent(b []byte) (event, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n < headLen || n > uint64(len(b)-used) {
		return nil, nil, false
	}
	return b[used : used+int(n)], b[used+int(n):], true
}
