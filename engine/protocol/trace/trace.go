package trace

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"postrider/codec/sasl"
)

// Protocol is what the sessions speak.
type Protocol uint8

// The protocols.
const (
	SMTP Protocol = iota
	POP3
)

// At is what a machine reads.
type At uint8

// The values of At.
const (
	Commands At = iota
	Secret      // responses to AUTH
	Message     // a message after DATA
)

// Dialogue writes one session down. emit is called for each line. All of it is bounded: a
// line has about MaxLine octets, and less than that is kept.
type Dialogue struct {
	protocol Protocol
	emit     func(line string)
	tls      bool
	joined   bool // the session is older than the trace, and the client has sent nothing since

	within  bool  // in a line whose begin was not shown
	chunk   int64 // octets after BDAT that are still to come
	data    bool  // the last command was DATA
	message text  // message of the client
	bare    bool  // no header of a message is shown
	asked   bool  // the server has sent a challenge of AUTH: see Sent
	pending []kind
	retr    text // a message or a listing of the server
	now     kind // what retr is
}

// MaxLine is how many octets of a line are shown.
const MaxLine = 400

// New writes a dialogue. joined: the session has begun before.
func New(p Protocol, joined bool, emit func(line string)) *Dialogue {
	return &Dialogue{protocol: p, joined: joined, emit: emit}
}

// Bare leaves out the header of the client's messages too, and returns d.
func (d *Dialogue) Bare() *Dialogue {
	d.bare = true
	return d
}

// Secured notes that all that follows goes through TLS.
func (d *Dialogue) Secured() {
	d.tls, d.within, d.chunk = true, false, 0
	d.pending = d.pending[:0]
}

// StateAt is what a machine reads in a state, by the words for states that "postrider who"
// shows.
func StateAt(state string) At {
	switch state {
	case "AUTH":
		return Secret
	case "DATA":
		return Message
	}
	return Commands
}

// Client takes octets that a machine has taken, and the state that it was in before that.
func (d *Dialogue) Client(octets []byte, state string) {
	d.joined = false
	at := StateAt(state)
	if at == Message {
		d.within, d.chunk = false, 0
		if d.bare {
			d.message.bare, d.message.hiding = true, true
		}
		d.message.add(octets, d.fromClient)
		return
	}
	d.endMessage()
	if at == Secret {
		d.chunk = 0
	}
	hide, hidden := at == Secret, false
	for len(octets) > 0 {
		if d.chunk > 0 {
			n := min(d.chunk, int64(len(octets)))
			d.chunk -= n
			octets = octets[n:]
			d.fromClient(fmt.Sprintf("(%d octets of the message)", n))
			continue
		}
		line, rest, whole := bytes.Cut(octets, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		octets = rest
		switch {
		case hide:
			hidden, d.within = true, !whole
		case d.within || !whole:
			d.fromClient(fmt.Sprintf("(%d octets of a line that is too long)", len(line)))
			d.within = !whole
		default:
			hide = d.command(line)
		}
	}
	if hidden {
		d.fromClient(notShown(""))
		d.message = text{hiding: d.data && at == Commands} // its begin was hidden
	}
}

// Sent is Client for a machine that is the client: octets that it sends. message: they are a
// message after DATA. What it sends after a challenge is a response to AUTH.
func (d *Dialogue) Sent(octets []byte, message bool) {
	state := ""
	switch {
	case message:
		state = "DATA"
	case d.asked:
		state = "AUTH"
	}
	d.asked = false
	d.Client(octets, state)
}

// Note writes a line about the session.
func (d *Dialogue) Note(text string) { d.emit("=== " + text) }

// command writes a command line, and reports whether what follows has to be hidden.
func (d *Dialogue) command(line []byte) (hide bool) {
	shown, hide := d.smtp, false
	if d.protocol == POP3 {
		shown = d.pop3
	}
	text, hide := shown(line)
	d.fromClient(text)
	return hide
}

// auth is AUTH with its mechanism, as far as it is one.
func auth(word, arg []byte) string {
	name, _, _ := bytes.Cut(arg, []byte{' '})
	if len(arg) == 0 {
		return string(word)
	}
	if sasl.ParseMechanism(name) == 0 {
		return notShown(string(word))
	}
	text := string(word) + " " + string(name)
	if len(arg) > len(name) {
		return notShown(text)
	}
	return text
}

// notShown is a text after which something is left out. Its size is not told: it may be that of
// a password.
func notShown(text string) string {
	if text != "" {
		text += " "
	}
	return text + "(not shown)"
}

// fromClient writes a line of the client.
func (d *Dialogue) fromClient(text string) {
	arrow := " -> "
	if d.tls {
		arrow = " ~> "
	}
	d.emit(arrow + text)
}

// fromServer writes a line of the server.
func (d *Dialogue) fromServer(text string) {
	arrow := "<-  "
	if d.tls {
		arrow = "<~  "
	}
	d.emit(arrow + text)
}

// endMessage writes how much of a message was not shown, when it is at its end.
func (d *Dialogue) endMessage() { d.message.end(d.fromClient) }

// clean is a line as a terminal may show it.
func clean(line []byte) string {
	if isPlain(line) {
		return string(line)
	}
	var b strings.Builder
	for i := 0; i < len(line); {
		if i >= MaxLine {
			fmt.Fprintf(&b, " (%d more octets)", len(line)-i)
			break
		}
		r, n := utf8.DecodeRune(line[i:])
		if r == '\t' {
			r = ' '
		}
		if r == utf8.RuneError && n <= 1 || !unicode.IsPrint(r) {
			for _, c := range line[i : i+n] {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		} else {
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// isPlain reports whether a line is short, and as it is shown.
func isPlain(line []byte) bool {
	for _, c := range line {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(line) <= MaxLine
}
