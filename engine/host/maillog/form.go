package maillog

import (
	"log/slog"
	"strconv"
)

// form is how a record is written for an output.
type form uint8

const (
	text          form = iota // time, host, daemon and message: a line of a file
	object                    // JSON: a line of a file
	syslog                    // RFC 3164 as local programs send it
	syslogObject              // the same, with an object for its message
	journal                   // an entry of the journal's own protocol
	journalObject             // the same, with an object for its message
)

// endOfEntry ends an entry of the forms that are sent one by one. No entry contains it:
// appendSafe and appendQuoted leave no control octet.
const endOfEntry = "\x00"

// facility is that of mail (RFC 3164 section 4.1.1).
const facility = 2

// severity is the number of a level there.
func severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

// append appends the record in the form of the output.
func (h line) append(b []byte, r slog.Record, p *pen) []byte {
	switch h.form {
	case text:
		return append(h.appendText(b, r, &p.clock), '\n')
	case object:
		return append(h.appendJSON(b, r), '\n')
	case syslog, syslogObject:
		b = append(b, '<')
		b = strconv.AppendInt(b, int64(facility*8+severity(r.Level)), 10)
		b = append(b, '>')
		b = r.Time.AppendFormat(b, "Jan _2 15:04:05 ")
		b = h.appendTag(b, daemonOf(h.attrs, r))
		if h.form == syslog {
			b = h.appendMessage(b, r)
		} else {
			b = h.appendJSON(b, r)
		}
		return append(b, endOfEntry...)
	}
	b = append(b, "PRIORITY="...)
	b = strconv.AppendInt(b, int64(severity(r.Level)), 10)
	b = append(b, "\nSYSLOG_FACILITY=2\nSYSLOG_PID="...)
	b = append(b, h.pid...)
	b = append(b, "\nSYSLOG_IDENTIFIER="...)
	b = append(append(append(b, h.set.Name...), '/'), daemonOf(h.attrs, r)...)
	b = append(b, "\nMESSAGE="...)
	if h.form == journal {
		b = h.appendMessage(b, r)
	} else {
		b = h.appendJSON(b, r)
	}
	b = append(b, '\n')
	return append(b, endOfEntry...)
}

// daemonOf is the daemon that a record names; master without one.
func daemonOf(as []slog.Attr, r slog.Record) string {
	name := "master"
	find := func(a slog.Attr) bool {
		if a.Key == "daemon" {
			name = a.Value.String()
		}
		return true
	}
	for _, a := range as {
		find(a)
	}
	r.Attrs(find)
	return name
}

// appendTag appends what names the program in a line of syslog: "postfix/smtpd[42]: ".
func (h line) appendTag(b []byte, daemon string) []byte {
	b = append(append(append(b, h.set.Name...), '/'), daemon...)
	return append(append(append(b, '['), h.pid...), "]: "...)
}
