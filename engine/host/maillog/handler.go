// Package maillog writes the log: a slog.Handler whose text form has the shape
// of Postfix's lines, so that the tools that read them (pflogsumm, fail2ban)
// read ours, and whose JSON form has the same facts as fields.
//
//	2026-11-22T23:00:00.000000+00:00 mx postfix/smtpd[42]: 01HX...: client=unknown[192.0.2.1]
//
// A record becomes: time, host, name of the mail system, "/" and the attribute "daemon"
// (default "master"), process id, the attribute "id" and a colon if there is one, the
// message, and the other attributes as key=value, separated by ", ". A record
// above info has its level in front of the message: "warning: ", "error: ".
//
// # Outputs
//
// Lines go to standard error, to a file that Reopen opens again, to syslog (/dev/log), or
// to the journal of systemd. The last two get each line by itself, with its priority and
// its daemon, and add time and host themselves. A daemon of theirs that is started again
// is connected again.
//
// # Lines that are lost
//
// Handle never waits for the disk or a pipe: it appends to a buffer of bounded
// size that one goroutine writes out. When the reader of the log is so slow that
// the buffer is full, lines are dropped; so are lines that a full disk does not take.
// They are counted, and the count is logged once lines can be written again.
package maillog

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// bufferLimit bounds the octets that wait to be written.
const bufferLimit = 4 << 20

// Handler is the slog.Handler; New makes one, and Open one with an output of its own.
type Handler struct {
	live  *atomic.Pointer[style] // shared with what WithAttrs has made
	attrs []slog.Attr            // added by WithAttrs
}

// style is where lines go, and how they look. It does not change.
type style struct {
	set  Settings
	sink *sink
	form form
	pid  string
}

// line has what a line is made with.
type line struct {
	*style
	attrs []slog.Attr
}

// Settings are what Open needs.
type Settings struct {
	To    string // ToStderr, ToSyslog, ToJournal, or the path of a file
	Name  string // the mail system in each line, as Postfix's syslog_name; "postfix" if empty
	Host  string
	JSON  bool
	Level slog.Level // the lowest that is written
}

// Open starts a handler that writes to where s says. Close it to write out what waits.
func Open(s Settings) (*Handler, error) {
	o, f, err := open(s.To, s.JSON)
	if err != nil {
		return nil, err
	}
	return start(o, f, s), nil
}

// New starts a handler that writes lines to w, in text or, when json is set, in JSON, of
// the given level and above. Close it to write out what waits.
func New(w io.Writer, json bool, level slog.Level, host string) *Handler {
	f := text
	if json {
		f = object
	}
	return start(stream{w}, f, Settings{Level: level, Host: host})
}

func start(o output, f form, s Settings) *Handler {
	h := &Handler{live: new(atomic.Pointer[style])}
	h.live.Store(newStyle(o, f, s))
	return h
}

// newStyle is a style with an output of its own, and a goroutine that writes to it.
func newStyle(o output, f form, s Settings) *style {
	s.Name = cmp.Or(s.Name, "postfix")
	st := &style{set: s, form: f, pid: strconv.Itoa(os.Getpid())}
	st.sink = &sink{out: o, wake: make(chan struct{}, 1), done: make(chan struct{}), lost: st.lost}
	go st.sink.run()
	return st
}

// Configure replaces the settings, also for what WithAttrs has made. What was logged before
// is written to where it was to go. The error is about the new output; then nothing changes.
func (h *Handler) Configure(s Settings) error {
	before := h.live.Load()
	s.Name = cmp.Or(s.Name, "postfix")
	if s.To == before.set.To && s.JSON == before.set.JSON {
		next := *before
		next.set = s
		h.live.Store(&next)
		return nil
	}
	o, f, err := open(s.To, s.JSON)
	if err != nil {
		return err
	}
	h.live.Store(newStyle(o, f, s))
	before.sink.close()
	return nil
}

// Settings returns the settings that count now.
func (h *Handler) Settings() Settings { return h.live.Load().set }

// Reopen opens the file of the log again, after logrotate has moved it away. When that
// does not work, lines go on to the old file.
func (h *Handler) Reopen() error { return h.live.Load().sink.out.reopen() }

// lost is the line about lines that could not be written.
func (s *style) lost(n int, why string) []byte {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, strconv.Itoa(n)+" log lines dropped: "+why, 0)
	return line{s, nil}.append(nil, r, new(pen))
}

// Close writes out what waits and ends the writer. Later records are dropped.
func (h *Handler) Close() error {
	h.live.Load().sink.close()
	return nil
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.live.Load().set.Level }

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(as []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(c.attrs[:len(c.attrs):len(c.attrs)], as...)
	return &c
}

// WithGroup implements slog.Handler. Mail logs are flat: a group has no effect.
func (h *Handler) WithGroup(string) slog.Handler { return h }

// Handle implements slog.Handler.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	rs := [...]slog.Record{r}
	return h.HandleAll(rs[:])
}

// HandleAll is Handle for records that come together: no other line gets between
// theirs, and the buffer is taken hold of once. rs is borrowed for the call.
func (h *Handler) HandleAll(rs []slog.Record) error {
	p := pens.Get().(*pen)
	for {
		l := line{h.live.Load(), h.attrs}
		p.lines = p.lines[:0]
		for i := range rs {
			p.lines = l.append(p.lines, rs[i], p)
		}
		if l.sink.add(p.lines, len(rs)) || h.live.Load() == l.style {
			break
		} // else Configure has closed the sink meanwhile
	}
	if cap(p.lines) <= largestPen {
		pens.Put(p)
	}
	return nil
}

// pen is a buffer in which a line is made, so that no goroutine waits for another one.
type pen struct {
	lines []byte
	clock clock
}

var pens = sync.Pool{New: func() any { return new(pen) }}

// largestPen bounds what is kept for the next lines, in octets.
const largestPen = 16 << 10

// appendText appends the record as a line of Postfix's shape.
func (h line) appendText(b []byte, r slog.Record, now *clock) []byte {
	b = now.append(b, r.Time)
	b = append(append(b, h.set.Host...), ' ')
	b = h.appendTag(b, daemonOf(h.attrs, r))
	return h.appendMessage(b, r)
}

// appendMessage appends what comes after the name of the daemon: queue id, level, text and
// the other attributes.
func (h line) appendMessage(b []byte, r slog.Record) []byte {
	each := func(f func(slog.Attr) bool) {
		for _, a := range h.attrs {
			f(a)
		}
		r.Attrs(f)
	}
	each(func(a slog.Attr) bool {
		if a.Key == "id" {
			b = append(append(b, a.Value.String()...), ": "...)
		}
		return true
	})
	switch {
	case r.Level >= slog.LevelError:
		b = append(b, "error: "...)
	case r.Level >= slog.LevelWarn:
		b = append(b, "warning: "...)
	}
	if b, ok := appendShape(b, r); ok {
		return b
	}
	sep := ""
	if !isUnnamed(r.Message) {
		b = appendSafe(b, r.Message)
		sep = ": "
	}
	each(func(a slog.Attr) bool {
		if a.Key == "daemon" || a.Key == "id" || a.Equal(slog.Attr{}) { // as slog.Handler demands of the last
			return true
		}
		b = appendAttr(b, sep, a)
		sep = ", "
		return true
	})
	return b
}

func appendValue(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindDuration:
		return AppendDelay(b, v.Duration())
	case slog.KindString:
		return appendSafe(b, v.String())
	}
	return appendSafe(b, v.String())
}

// appendSafe appends s with each control octet turned into "?", as Postfix
// does: what a peer sends must not forge a line of the log.
func appendSafe(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// appendJSON appends the record as one JSON object on a line.
func (h line) appendJSON(b []byte, r slog.Record) []byte {
	b = append(b, `{"time":"`...)
	b = r.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(append(append(b, `","level":"`...), r.Level.String()...), `","host":`...)
	b = appendQuoted(b, h.set.Host)
	if r.Message != "" {
		b = append(b, `,"msg":`...)
		b = appendQuoted(b, r.Message)
	}
	field := func(a slog.Attr) bool {
		if a.Equal(slog.Attr{}) {
			return true
		}
		b = appendField(b, a)
		return true
	}
	for _, a := range h.attrs {
		field(a)
	}
	r.Attrs(field)
	return append(b, '}')
}

// appendQuoted appends s as a JSON string; octets that are not UTF-8 become
// U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, string(c)...)
		}
	}
	return append(b, '"')
}
