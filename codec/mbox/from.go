package mbox

import (
	"strconv"
	"strings"
	"time"
)

// From is a parsed From_ line.
type From struct {
	Sender string    // empty for MAILER-DAEMON, and for the "-" of Mozilla
	Date   time.Time // zero when it can't be read
	Line   int       // in the file, from 1
}

// maxDate is the most words of a date.
const maxDate = 8

// parseFrom reads "SENDER DATE", what follows "From ". zoned: a numeric
// zone ends the date.
func parseFrom(s string) (f From, zoned bool) {
	words := strings.Fields(s)
	sender := ""
	if len(words) > 0 {
		sender = words[0]
	}
	words = withoutTrailer(words)
	for i := max(1, len(words)-maxDate); i < len(words); i++ {
		if at, ok := parseDate(words[i:]); ok {
			f.Date = at
			sender = strings.Join(words[:i], " ")
			last := words[len(words)-1]
			zoned = last[0] == '+' || last[0] == '-'
			break
		}
	}
	if sender != "MAILER-DAEMON" && sender != "-" {
		f.Sender = sender
	}
	return f, zoned
}

// withoutTrailer cuts off what may follow the date: the host that UUCP names, and
// the name of a zone in brackets.
func withoutTrailer(words []string) []string {
	if n := len(words); n > 3 && words[n-3] == "remote" && words[n-2] == "from" {
		words = words[:n-3]
	}
	if n := len(words); n > 1 && strings.HasPrefix(words[n-1], "(") && strings.HasSuffix(words[n-1], ")") {
		words = words[:n-1]
	}
	return words
}

// parseDate reads the date of a From_ line: asctime's, with a zone before or after
// the year, that of a Date field, or that of ISO 8601. All words have to fit.
func parseDate(w []string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04:05 -0700"} {
		if w[0][0] != '1' && w[0][0] != '2' || len(w) > 3 {
			break
		}
		if at, err := time.Parse(layout, strings.Join(w, " ")); err == nil {
			return at, true
		}
	}
	weekday := indexOf(weekdays, strings.TrimSuffix(w[0], ",")) > 0
	if weekday {
		w = w[1:]
	}
	var d date
	switch {
	case len(w) >= 4 && weekday && indexOf(months, w[0]) > 0:
		if !d.month(w[0]) || !d.day(w[1]) || !d.clock(w[2]) {
			return time.Time{}, false
		}
		w = w[3:]
		if !d.year(w[0]) { // a zone before the year
			n := d.zone(w)
			if n == 0 || n == len(w) || !d.year(w[n]) {
				return time.Time{}, false
			}
			w = w[n:]
		}
		w = w[1:]
	case len(w) >= 4 && d.day(w[0]) && d.month(w[1]) && d.year(w[2]) && d.clock(w[3]):
		w = w[4:]
	default:
		return time.Time{}, false
	}
	if len(w) > 0 && d.zone(w) != len(w) {
		return time.Time{}, false
	}
	return d.time(), true
}

// date is a date that is read part by part.
type date struct{ y, m, d, hour, minute, second, offset int }

func (d *date) time() time.Time {
	return time.Date(d.y, time.Month(d.m), d.d, d.hour, d.minute, d.second-d.offset, 0, time.UTC)
}

func (d *date) month(s string) bool {
	d.m = indexOf(months, s)
	return d.m > 0
}

func (d *date) day(s string) bool {
	var ok bool
	d.d, ok = number(s, 1, 2, 31)
	return ok && d.d > 0
}

// year reads four digits, or two: then it is one from 1970 to 2069.
func (d *date) year(s string) bool {
	var ok bool
	if len(s) == 2 {
		if d.y, ok = number(s, 2, 2, 99); d.y < 70 {
			d.y += 100
		}
		d.y += 1900
		return ok
	}
	d.y, ok = number(s, 4, 4, 9999)
	return ok && d.y >= 1900
}

// clock reads hours, minutes and perhaps seconds.
func (d *date) clock(s string) bool {
	hour, rest, ok := strings.Cut(s, ":")
	minute, second, seconds := strings.Cut(rest, ":")
	if !seconds {
		second = "0"
	}
	var a, b, c bool
	d.hour, a = number(hour, 1, 2, 23)
	d.minute, b = number(minute, 2, 2, 59)
	d.second, c = number(second, 1, 2, 60)
	return ok && a && b && c
}

// zone reads a zone, and returns how many words it has: 2 for "MET DST", 0 for no zone.
// A name that is not known, or that means several zones, is UTC.
func (d *date) zone(w []string) int {
	s := w[0]
	if s[0] == '+' || s[0] == '-' {
		n, ok := number(strings.Replace(s[1:], ":", "", 1), 4, 4, 2400)
		if !ok || n%100 > 59 {
			return 0
		}
		if d.offset = n/100*3600 + n%100*60; s[0] == '-' {
			d.offset = -d.offset
		}
		return 1
	}
	if len(s) > 5 {
		return 0
	}
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return 0
		}
	}
	d.offset = zones[s] * 3600
	if len(w) > 1 && w[1] == "DST" {
		d.offset += 3600
		return 2
	}
	return 1
}

// zones has the names of RFC 5322 section 4.3, and names that mean one zone only.
var zones = map[string]int{
	"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
	"CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "MESZ": 2, "MEZ": 1, "EET": 2, "EEST": 3, "WEST": 1, "MSK": 3, "JST": 9, "NZST": 12, "NZDT": 13,
}

var (
	weekdays = []string{"", "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	months   = []string{"", "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
)

// indexOf is the place of a name, or of its first letters, three at least; 0: none.
func indexOf(names []string, s string) int {
	if len(s) < 3 || len(s) > 9 {
		return 0
	}
	s = strings.ToLower(s)
	for i, name := range names {
		if strings.HasPrefix(name, s) {
			return i
		}
	}
	return 0
}

// number reads minDigits to maxDigits digits; the value is at most limit.
func number(s string, minDigits, maxDigits, limit int) (int, bool) {
	if len(s) < minDigits || len(s) > maxDigits || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n <= limit
}
