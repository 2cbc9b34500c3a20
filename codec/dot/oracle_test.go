package dot

import (
	"bytes"
	"fmt"
	"strings"
)

// The slow, obvious twins of the fast paths.

// slowScan reads a whole message octet by octet, as a receiver that replaces a
// bare LF by CRLF and drops a bare CR and a lone dot. It knows no pieces, no blocks
// and no fast path. It returns the wire form, what it met, and the octets consumed.
func slowScan(src string, stuffed bool) (wire string, events []string, used int, ended bool) {
	var out strings.Builder
	place := "start" // "start": a line begins, for the sender too; "inside"; "ours": a line begins for us only
	dot := false     // the first dot of a line waits for what follows it
	lone := func() {
		if dot {
			events = append(events, fmt.Sprint("lone ", out.Len()))
			dot = false
		}
	}
	for i := 0; i < len(src); i++ {
		rest := src[i:]
		switch {
		case dot && strings.HasPrefix(rest, "\r\n"):
			return out.String(), append(events, "end"), i + 2, true
		case strings.HasPrefix(rest, "\r\n"):
			out.WriteString("\r\n")
			place = "start"
			i++
		case src[i] == '\n':
			dot = false
			out.WriteString("\r\n")
			events = append(events, fmt.Sprint("LF ", out.Len()))
			place = "ours"
		case rest == "\r":
			return out.String(), events, i - b2i(dot), false
		case src[i] == '\r':
			if dot || place == "start" {
				place = "ours"
			}
			dot = false
			events = append(events, fmt.Sprint("CR ", out.Len()))
		case src[i] == '.' && place == "start" && stuffed && !dot:
			dot = true
		case src[i] == '.' && dot:
			out.WriteString("..")
			place, dot = "inside", false
		case src[i] == '.' && (place == "ours" || place == "start"):
			out.WriteString("..")
			place = "inside"
		default:
			lone()
			out.WriteByte(src[i])
			place = "inside"
		}
	}
	return out.String(), events, len(src) - b2i(dot), false
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// slowCounts counts a finished wire form.
func slowCounts(wire string) Counts {
	c := Counts{Wire: int64(len(wire)), Size: int64(len(slowUnstuff(wire)))}
	for line := range strings.SplitAfterSeq(slowUnstuff(wire), "\r\n") {
		if strings.HasSuffix(line, "\r\n") {
			c.LongestLine = max(c.LongestLine, len(line))
		}
	}
	for i := range len(wire) {
		c.EightBit = c.EightBit || wire[i] >= 0x80
	}
	return c
}

func slowStuff(plain string) string {
	s := strings.ReplaceAll("\r\n"+plain, "\r\n.", "\r\n..")
	return s[2:]
}

func slowUnstuff(wire string) string {
	s := strings.ReplaceAll("\r\n"+wire, "\r\n.", "\r\n")
	return s[2:]
}

// slowTop splits the message into lines.
func slowTop(wire string, n int) (string, bool) {
	header, body, found := strings.Cut("\r\n"+wire, "\r\n\r\n")
	if !found {
		return wire, false
	}
	out := (header + "\r\n\r\n")[2:]
	for line := range strings.SplitAfterSeq(body, "\n") {
		if n == 0 {
			return out, true
		}
		out += line
		if strings.HasSuffix(line, "\n") {
			n--
		}
	}
	return out, n == 0
}

// scanner is what Scanner and Stuffer have in common.
type scanner interface {
	Scan(src []byte) (n, skip int, v Verdict)
	CountCRLF()
}

// fastScan drives s over src in pieces of cut octets as the smtpd session does,
// in buffers that are overwritten after each call.
func fastScan(s scanner, src string, cut int) (wire string, events []string, used int, ended bool) {
	var out, pending []byte
	for from := 0; from < len(src); from += cut {
		pending = append(pending, src[from:min(from+cut, len(src))]...)
		for more := true; more; {
			in := bytes.Clone(pending)
			n, skip, v := s.Scan(in)
			if !bytes.Equal(in, pending) {
				panic("the input was changed")
			}
			out = append(out, in[:n]...)
			for i := range in {
				in[i] = 0xDB
			}
			used += n + skip
			pending = pending[n+skip:]
			switch v {
			case More:
				if len(pending) > 2 || skip > 0 {
					panic(fmt.Sprintf("More left %q, skip %d", pending, skip))
				}
				more = false
			case End:
				return string(out), append(events, "end"), used, true
			case BareLF:
				out = append(out, "\r\n"...)
				s.CountCRLF()
				events = append(events, fmt.Sprint("LF ", len(out)))
			case BareCR:
				events = append(events, fmt.Sprint("CR ", len(out)))
			case LoneDot:
				events = append(events, fmt.Sprint("lone ", len(out)))
			case Stuff:
				out = append(out, '.')
			}
		}
	}
	return string(out), events, used, false
}
