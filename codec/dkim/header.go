package dkim

import (
	"bytes"
	"fmt"
	"slices"
)

// MaxFields is how many fields of a header are looked at.
const MaxFields = 2000

// Header is a header taken apart. It borrows the octets.
type Header struct {
	octets []byte
	fields []span  // in order
	sorted []int32 // indexes of fields: by name, the last of a name first
	picked []int32 // at the first of a name in sorted: how many a signature has picked
}

// span is where a field is in the octets, with its line end, and where its name ends.
type span struct{ from, colon, to int32 }

// ParseHeader takes a header apart: whole lines, with or without the empty one at the
// end. Lines without a colon are part of no field.
func ParseHeader(octets []byte) (*Header, error) {
	h := &Header{octets: octets}
	open := false // the line before is of a field
	for at := 0; at < len(octets); {
		to := len(octets)
		if n := bytes.IndexByte(octets[at:], '\n'); n >= 0 {
			to = at + n + 1
		}
		line := octets[at:to]
		colon := bytes.IndexByte(line, ':')
		switch {
		case line[0] == '\r' || line[0] == '\n':
			to = len(octets)
		case line[0] == ' ' || line[0] == '\t':
			if open {
				h.fields[len(h.fields)-1].to = int32(to)
			}
		case colon < 0:
			open = false
		case len(h.fields) == MaxFields:
			return nil, permanent(fmt.Sprintf("the header has more than %d fields", MaxFields))
		default:
			h.fields = append(h.fields, span{int32(at), int32(at + colon), int32(to)})
			open = true
		}
		at = to
	}
	h.sort()
	return h, nil
}

func (h *Header) sort() {
	h.sorted = make([]int32, len(h.fields))
	for i := range h.sorted {
		h.sorted[i] = int32(len(h.fields) - 1 - i)
	}
	slices.SortStableFunc(h.sorted, func(a, b int32) int { return compareFold(h.name(a), h.name(b)) })
	h.picked = make([]int32, len(h.fields))
}

func (h *Header) name(i int32) []byte {
	f := h.fields[i]
	return bytes.TrimRight(h.octets[f.from:f.colon], " \t")
}

// Field is the i-th field: with its name, its colon and its line end.
func (h *Header) field(i int32) []byte { f := h.fields[i]; return h.octets[f.from:f.to] }

// All calls f with each field of that name, in the order of the header, until f returns
// false.
func (h *Header) All(name string, f func(field []byte) bool) {
	at, found := h.find([]byte(name))
	end := at
	for found && end < len(h.sorted) && compareFold(h.name(h.sorted[end]), []byte(name)) == 0 {
		end++
	}
	for end--; end >= at; end-- {
		if !f(h.field(h.sorted[end])) {
			return
		}
	}
}

// find finds the last field of a name.
func (h *Header) find(name []byte) (at int, found bool) {
	return slices.BinarySearchFunc(h.sorted, name, func(i int32, name []byte) int { return compareFold(h.name(i), name) })
}

// pick returns the last field of a name that was not picked yet (RFC 6376 section
// 5.4.2); nil: there is none.
func (h *Header) pick(name []byte) []byte {
	first, found := h.find(name)
	if !found {
		return nil
	}
	at := first + int(h.picked[first])
	if at >= len(h.sorted) || compareFold(h.name(h.sorted[at]), name) != 0 {
		return nil
	}
	h.picked[first]++
	return h.field(h.sorted[at])
}

// writeSigned writes the fields that a list of names in h= picks.
func (h *Header) writeSigned(out *pieces, names []byte, c Canonicalization) {
	clear(h.picked)
	for name := range bytes.SplitSeq(names, []byte(":")) {
		if field := h.pick(bytes.Trim(name, white)); field != nil {
			writeField(out, field, c)
			out.add("\r\n")
		}
	}
}

// white is the white space of a header.
const white = " \t\r\n"

// writeField writes a field in its canonical form, without the line end.
func writeField(out *pieces, field []byte, c Canonicalization) {
	field = bytes.TrimSuffix(bytes.TrimSuffix(field, []byte("\n")), []byte("\r"))
	if c == Simple {
		out.octets(field)
		return
	}
	name, value, _ := bytes.Cut(field, []byte(":"))
	for _, c := range bytes.TrimRight(name, white) {
		out.octet(lower(c))
	}
	out.add(":")
	value = bytes.Trim(value, white)
	for {
		word := bytes.IndexAny(value, white)
		if word < 0 {
			out.octets(value)
			return
		}
		out.octets(value[:word])
		out.add(" ")
		value = bytes.TrimLeft(value[word:], white)
	}
}

// compareFold compares without regard to the case of ASCII letters.
func compareFold(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
