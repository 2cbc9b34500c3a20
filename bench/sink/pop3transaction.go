package sink

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// multiline is a multi-line answer that is being sent.
type multiline struct {
	wire      []byte
	sent      int
	part      part
	isListing bool // not a message: there are no faults in its middle
	noDot     bool
}

// part is the part of a multiline that comes next.
type part uint8

const (
	firstHalf part = iota
	secondHalf
	finalDot
)

// told is the number of octets to send in an answer, true or false.
func (p *POP3Session) told(octets int, lies lie) int {
	if lies&miscount == 0 {
		return octets
	}
	return octets + 1 + p.chance().IntN(100)
}

func (p *POP3Session) stat(out []byte) []byte {
	out, lies, done := p.fault(Stat, out)
	if done {
		return out
	}
	messages, octets := 0, 0
	for _, m := range p.drop {
		if !p.deleted[m] {
			messages, octets = messages+1, octets+m.octets
		}
	}
	return fmt.Appendf(out, "+OK %d %d\r\n", messages, p.told(octets, lies))
}

// pick is the message of a number, or nil.
func (p *POP3Session) pick(number string) *mail {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(p.drop) || p.deleted[p.drop[n-1]] {
		return nil
	}
	return p.drop[n-1]
}

// listing answers LIST and UIDL.
func (p *POP3Session) listing(stage Stage, number string, out []byte) []byte {
	one := p.pick(number)
	if number != "" && one == nil {
		return p.refuse(out, "no such message")
	}
	out, lies, done := p.fault(stage, out)
	if done {
		return out
	}
	row := func(out []byte, number string, m *mail) []byte {
		if stage == Uidl {
			return append(append(append(append(out, number...), ' '), m.id...), "\r\n"...)
		}
		return fmt.Appendf(out, "%s %d\r\n", number, p.told(m.octets, lies))
	}
	if one != nil {
		return row(append(out, "+OK "...), number, one)
	}
	var rows []byte
	for n, m := range p.drop {
		if !p.deleted[m] {
			rows = row(rows, strconv.Itoa(n+1), m)
		}
	}
	// No faults in the middle: only messages have them.
	p.answer = &multiline{wire: rows, part: secondHalf, isListing: true, noDot: lies&noDot != 0}
	return append(out, "+OK\r\n"...)
}

// message begins the answer to RETR or TOP.
func (p *POP3Session) message(verb, argument string, out []byte) []byte {
	number, lines, _ := strings.Cut(argument, " ")
	m := p.pick(number)
	if m == nil {
		return p.refuse(out, "no such message")
	}
	stage, wire := Retr, m.wire
	if verb == "TOP" {
		n, err := strconv.Atoi(lines)
		if err != nil || n < 0 {
			return p.refuse(out, "TOP takes a message and a number of lines")
		}
		stage, wire = Top, top(wire, n)
	}
	out, lies, done := p.fault(stage, out)
	if done {
		return out
	}
	p.sink.counts[retrieved].Add(1)
	p.sink.counts[octetsOut].Add(int64(len(wire)))
	if lies&unstuffed != 0 {
		wire = bytes.ReplaceAll(wire, []byte("\r\n.."), []byte("\r\n."))
	}
	p.answer = &multiline{wire: wire, noDot: lies&noDot != 0}
	if stage == Top {
		return append(out, "+OK\r\n"...)
	}
	return fmt.Appendf(out, "+OK %d octets\r\n", p.told(m.octets, lies))
}

// top is the header, the empty line and n lines of a message in wire form.
func top(wire []byte, n int) []byte {
	end := bytes.Index(wire, []byte("\r\n\r\n")) + len("\r\n\r\n")
	if bytes.HasPrefix(wire, []byte("\r\n")) {
		end = len("\r\n") // no header at all
	} else if end < len("\r\n\r\n") {
		return wire
	}
	for ; n > 0; n-- {
		next := bytes.Index(wire[end:], []byte("\r\n"))
		if next < 0 {
			return wire
		}
		end += next + len("\r\n")
	}
	return wire[:end]
}

// write appends as much of the answer as goes in one piece, and plays the faults at
// its middle and its end.
func (p *POP3Session) write(out []byte) []byte {
	l := p.answer
	until, stage := len(l.wire), End
	switch l.part {
	case firstHalf:
		until, stage = len(l.wire)/2, Body
	case finalDot:
		p.answer = nil
		if l.noDot {
			return out
		}
		return append(out, ".\r\n"...)
	}
	n := min(until-l.sent, full)
	out = append(out, l.wire[l.sent:l.sent+n]...)
	if l.sent += n; l.sent < until {
		return out
	}
	l.part++
	if l.isListing {
		return out
	}
	if f := p.play(stage); f.wait > 0 || f.rule != nil {
		p.held = &f
	}
	return out
}

func (p *POP3Session) dele(number string, out []byte) []byte {
	m := p.pick(number)
	if m == nil {
		return p.refuse(out, "no such message")
	}
	out, _, done := p.fault(Dele, out)
	if done {
		return out
	}
	if p.deleted == nil {
		p.deleted = make(map[*mail]bool)
	}
	p.deleted[m] = true
	return append(out, "+OK\r\n"...)
}
