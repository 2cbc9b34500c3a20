package entity

import (
	"strconv"
	"strings"
	"time"
)

// maxDate is more than any date has, in octets.
const maxDate = 200

// ReadDate reads the date of a header field: RFC 5322 section 3.3 with the obsolete forms
// of section 4.3, and variants that programs write: no blank after the comma, the name of
// the day left out, the month before the day, "05-Mar-2024", the year at the end. Zones are
// as in section 4.3; any other word is read as -0000, as that section demands, which
// is UTC. Not ok: it can't be read, or there is no such day.
func ReadDate(value string) (at time.Time, ok bool) {
	if len(value) > maxDate {
		return at, false
	}
	var d dateParts
	for _, word := range dateWords(withoutComments(value)) {
		if !d.take(word) {
			return at, false
		}
	}
	return d.time()
}

// withoutComments puts a blank in place of each comment; one without an end is all of
// the rest.
func withoutComments(value string) string {
	if strings.IndexByte(value, '(') < 0 {
		return value
	}
	var b strings.Builder
	depth := 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
			b.WriteByte(' ')
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// dateWords cuts a date at blanks and commas; "05-Mar-2024" is three words.
func dateWords(value string) (words []string) {
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == '\r' || r == '\n' }) {
		if parts := strings.Split(word, "-"); len(parts) == 3 && parts[0] != "" && parts[2] != "" && monthOf(parts[1]) > 0 {
			words = append(words, parts...)
			continue
		}
		if i := strings.IndexAny(word, "+-"); i > 0 && strings.Contains(word[:i], ":") { // "10:00:00+0100"
			words = append(words, word[:i], word[i:])
			continue
		}
		words = append(words, word)
	}
	return words
}

// dateParts are what was read of a date; -1 and 0: not yet.
type dateParts struct {
	day, year, month int
	hasYear, hasTime bool
	clock            [3]int
	zone             *time.Location
}

// take reads a word of a date.
func (d *dateParts) take(word string) bool {
	n, err := strconv.Atoi(word)
	number := err == nil && word[0] != '+' && word[0] != '-'
	switch {
	case number && d.day == 0 && len(word) <= 2 && n > 0:
		d.day = n
	case number && d.day != 0 && !d.hasYear && len(word) <= 4:
		d.year, d.hasYear = wholeYear(n, len(word)), true
	case strings.Contains(word, ":") && !d.hasTime && word[0] >= '0' && word[0] <= '9':
		return d.takeTime(word)
	case word[0] == '+' || word[0] == '-':
		zone, ok := offset(word)
		if d.zone == nil {
			d.zone = zone
		}
		return ok
	case monthOf(word) > 0 && d.month == 0:
		d.month = monthOf(word)
	case !isLetters(word):
		return false
	case !d.hasTime: // the name of the day
		return d.day == 0 || weekdays[strings.ToLower(word[:min(3, len(word))])]
	case d.zone == nil:
		d.zone = zoneOf(word)
	}
	return true
}

var weekdays = map[string]bool{"mon": true, "tue": true, "wed": true, "thu": true, "fri": true, "sat": true, "sun": true}

func isLetters(word string) bool {
	return !strings.ContainsFunc(word, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '"' && r != '/' && r != '_'
	})
}

// wholeYear is a year of two or three digits as RFC 5322 section 4.3 reads it.
func wholeYear(n, digits int) int {
	switch {
	case digits <= 2 && n < 50:
		return 2000 + n
	case digits <= 3:
		return 1900 + n
	}
	return n
}

// takeTime reads "10:00" or "10:00:00", perhaps with a fraction, which is left out.
func (d *dateParts) takeTime(word string) bool {
	parts := strings.Split(word, ":")
	if len(parts) > 3 {
		return false
	}
	for i, part := range parts {
		if i == 2 {
			part, _, _ = strings.Cut(part, ".")
		}
		n, err := strconv.Atoi(part)
		if err != nil || len(part) > 2 {
			return false
		}
		d.clock[i] = n
	}
	d.hasTime = true
	return d.clock[0] < 24 && d.clock[1] < 60 && d.clock[2] <= 60
}

// offset reads "+0100", or "+01:00".
func offset(word string) (*time.Location, bool) {
	digits := strings.Replace(word[1:], ":", "", 1)
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 4 || digits[0] == '+' || digits[0] == '-' {
		return nil, false
	}
	hours, minutes := n/100, n%100
	if hours > 23 || minutes > 59 { // no place on earth: RFC 5322 allows it, and nothing else does
		return time.UTC, true
	}
	seconds := hours*3600 + minutes*60
	if word[0] == '-' {
		seconds = -seconds
	}
	return zoneAt(seconds), true
}

func zoneAt(seconds int) *time.Location {
	if seconds == 0 {
		return time.UTC
	}
	return time.FixedZone("", seconds)
}

// zoneOf is the zone of a name (RFC 5322 section 4.3).
func zoneOf(name string) *time.Location {
	hours := map[string]int{"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
	return zoneAt(hours[strings.ToUpper(strings.Trim(name, `".`))] * 3600)
}

// monthOf is the number of a month by its English name; 0: it is none.
func monthOf(word string) int {
	word = strings.ToLower(strings.TrimRight(word, "."))
	for m := time.January; len(word) >= 3 && m <= time.December; m++ {
		if strings.HasPrefix(strings.ToLower(m.String()), word) || word == "sept" && m == time.September {
			return int(m)
		}
	}
	return 0
}

// time is the date, if it is whole and there is such a day.
func (d *dateParts) time() (time.Time, bool) {
	if d.day == 0 || d.month == 0 || !d.hasYear || !d.hasTime || d.year < 1900 || d.year > 9998 {
		return time.Time{}, false
	}
	zone := d.zone
	if zone == nil {
		zone = time.UTC
	}
	day := time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, zone)
	if day.Day() != d.day {
		return time.Time{}, false
	}
	return time.Date(d.year, time.Month(d.month), d.day, d.clock[0], d.clock[1], d.clock[2], 0, zone), true
}
