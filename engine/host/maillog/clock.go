package maillog

import "time"

// clock writes times as RFC 3339 has them, to the microsecond and with a blank after.
// It keeps the text of the last second: a busy server logs twenty thousand lines in one,
// and formatting was half the cost of a line.
type clock struct {
	second int64
	place  *time.Location
	before []byte // "2006-01-02T15:04:05."
	behind []byte // "-07:00 "
}

func (c *clock) append(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != c.second || t.Location() != c.place || c.before == nil {
		c.second, c.place = s, t.Location()
		c.before = t.AppendFormat(c.before[:0], "2006-01-02T15:04:05.")
		c.behind = t.AppendFormat(c.behind[:0], "-07:00 ")
	}
	b = append(b, c.before...)
	micros := t.Nanosecond() / 1000
	for unit := 100_000; unit > 0; unit /= 10 {
		b = append(b, byte('0'+micros/unit%10))
	}
	return append(b, c.behind...)
}
