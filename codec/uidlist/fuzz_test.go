package uidlist

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// slowLines are the lines of a file, without their ends; one that is too long is "".
func slowLines(text string) []string {
	var all []string
	for text != "" {
		line, rest, found := strings.Cut(text, "\n")
		long := len(line)
		if found {
			long++
		}
		if text = rest; long > maxLine {
			line = ""
		}
		all = append(all, strings.TrimSuffix(line, "\r"))
	}
	return all
}

func small(s string, limit uint64) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= limit
}

var (
	slowHeader3 = regexp.MustCompile(`(?s)^3(?: (.*))?$`)
	slowHeader1 = regexp.MustCompile(`(?s)^1 ([0-9]+) ([0-9]+)`)
	slowLine1   = regexp.MustCompile(`(?s)^([0-9]+) +([^ /][^/]*)$`)
	slowLine3   = regexp.MustCompile(`(?s)^([0-9]+) +((?:[^: ][^ ]* +)*):([^/]+)$`)
)

// slowDovecot is ReadDovecot by expressions.
func slowDovecot(text string) *Dovecot {
	all := slowLines(text)
	if len(all) == 0 {
		return nil
	}
	d := new(Dovecot)
	line := slowLine3
	if g := slowHeader3.FindStringSubmatch(all[0]); g != nil {
		for field := range strings.SplitSeq(g[1], " ") {
			if value, ok := strings.CutPrefix(field, "V"); ok {
				n, ok := small(value, math.MaxUint32)
				if !ok || !regexp.MustCompile(`^[0-9]+$`).MatchString(value) {
					return nil
				}
				d.Validity = uint32(n)
			}
		}
	} else if g := slowHeader1.FindStringSubmatch(all[0]); g != nil {
		n, ok := small(g[1], math.MaxUint32)
		if _, more := small(g[2], math.MaxUint64); !ok || !more {
			return nil
		}
		d.Validity = uint32(n)
		line = slowLine1
	}
	if d.Validity == 0 {
		return nil
	}
	for _, one := range all[1:] {
		g := line.FindStringSubmatch(one)
		if g == nil {
			d.Wrong++
			continue
		}
		uid, ok := small(g[1], math.MaxUint32-1)
		if !ok || uid == 0 {
			d.Wrong++
			continue
		}
		m := Message{UID: uint32(uid), File: g[len(g)-1]}
		if len(g) == 4 {
			for field := range strings.SplitSeq(g[2], " ") {
				switch {
				case strings.HasPrefix(field, "P"):
					m.Kept, m.UIDL = true, field[1:]
				case strings.HasPrefix(field, "G"):
					m.GUID = field[1:]
				case strings.HasPrefix(field, "O"):
					if n, ok := small(field[1:], math.MaxUint32); ok && field[1] != '+' {
						m.Order = uint32(n)
					}
				}
			}
		}
		d.Messages = append(d.Messages, m)
	}
	return d
}

func FuzzReadDovecot(f *testing.F) {
	for _, seed := range []string{"3 V1700000000 N4 Gab\n1 :a:2,\n2 W24 Px O1 Gcd  :b:2,F\n", "1 17 9\n4 a\n5 b c\n", "3 V1 N1\n\n1 P:x\n:\n1 O+1 :a", "3 V1", "1 1 1\n1  a/b", "3 V1\r\n1 :\r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadDovecot(strings.NewReader(text))
		want := slowDovecot(text)
		if (err == nil) != (want != nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; slowly %+v", text, got, err, want)
		}
	})
}

var (
	slowCourier0 = regexp.MustCompile(`(?s)^(.+) ([0-9]+)$`)
	slowCourier  = regexp.MustCompile(`(?s)^(.+) ([0-9]+) ([0-9]+)(?::([0-9]+))?(?::([0-9]+))?$`)
	slowHeader   = regexp.MustCompile(`(?s)^/[123] ([0-9]+)`)
)

// slowCourierList is ReadCourier by expressions.
func slowCourierList(text string) *Courier {
	all := slowLines(text)
	if len(all) == 0 {
		return nil
	}
	c := new(Courier)
	headless := false
	if g := slowHeader.FindStringSubmatch(all[0]); g != nil {
		if _, ok := small(g[1], math.MaxUint64); !ok {
			return nil
		}
		all = all[1:]
	} else if headless = true; all[0] == "" || all[0][0] == '/' {
		return nil
	}
	for _, one := range all {
		var name string
		var numbers []string
		if g := slowCourier0.FindStringSubmatch(one); headless && g != nil {
			name, numbers = g[1], g[2:]
		} else if g := slowCourier.FindStringSubmatch(one); !headless && g != nil {
			name, numbers = g[1], []string{g[3], g[4], g[5], g[2]}
		}
		ok := name != ""
		for _, n := range numbers {
			_, fits := small("0"+n, math.MaxUint64)
			ok = ok && fits
		}
		if !ok {
			if headless && len(c.Messages) == 0 && c.Wrong == 0 {
				return nil
			}
			c.Wrong++
			continue
		}
		n, _ := small(numbers[0], math.MaxUint64)
		m := CourierMessage{name, fmt.Sprintf("UID%d", n)}
		if !headless && strings.Trim(numbers[1], "0") != "" {
			m.UIDL += "-" + strings.TrimLeft(numbers[1], "0")
		}
		if n == 0 {
			base, _, _ := strings.Cut(name, ":")
			m.UIDL = regexp.MustCompile(`[^!-~]|['"+]`).ReplaceAllStringFunc(string(latin(base)), func(s string) string { return fmt.Sprintf("+%02X", []rune(s)[0]) })
		}
		c.Messages = append(c.Messages, m)
	}
	return c
}

// latin has a rune for each octet.
func latin(s string) []rune {
	all := make([]rune, len(s))
	for i := range len(s) {
		all[i] = rune(s[i])
	}
	return all
}

func FuzzReadCourier(f *testing.F) {
	for _, seed := range []string{"/2 8 12\na 13 5:12\nb:2,S 9 7:0\nc'+\xe4 9 0:0\n", "/3 8 12\na b 13 5:12:1\n", "/1 8\na 13 5\n", "a 5\nb 0\n", "/2 1\na 1 1:\n 1 1\n", "/3 1\na 1 1:1:1:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadCourier(strings.NewReader(text))
		want := slowCourierList(text)
		if (err == nil) != (want != nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; slowly %+v", text, got, err, want)
		}
	})
}

// A map that was read is written, and read again, to the same.
func FuzzReadMap(f *testing.F) {
	f.Add("1 one\n# x\na b c\n")
	f.Add("a\tb \r\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadMap(strings.NewReader(text))
		if err != nil {
			return
		}
		var out bytes.Buffer
		for key, uidl := range got {
			if strings.ContainsAny(key+uidl, "\n") || strings.ContainsAny(uidl, " \t") || uidl == "" || key == "" {
				t.Fatalf("%q: %q is %q", text, key, uidl)
			}
			fmt.Fprintf(&out, "%s\t%s\n", key, uidl)
		}
		again, err := ReadMap(&out)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%q: %q, %v; at first %q", text, again, err, got)
		}
	})
}

// A format makes something, whatever it is, and the default one is that of Printf.
func FuzzFormat(f *testing.F) {
	for _, seed := range []string{DefaultFormat, "%v.%u", "%Mf", "%{uid | hex(8)}", "%-3.5LUXRTg", "%%%f"} {
		f.Add(seed, uint32(1), uint32(2), "name")
	}
	f.Fuzz(func(t *testing.T, format string, uid, validity uint32, name string) {
		m := Facts{uid, validity, name, name}
		if p, err := ParseFormat(format); err == nil {
			if got := p.UIDL(m); len(got) > len(format)*(1000+32+len(name)) {
				t.Errorf("%q makes %d octets", format, len(got))
			}
		}
		p, _ := ParseFormat(DefaultFormat)
		if got, want := p.UIDL(m), fmt.Sprintf("%08x%08x", uid, validity); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
