package message

import "time"

// AppendDate appends a date-time of RFC 5322 section 3.3, with the name of the zone as a
// comment: time.Time.AppendFormat with "Mon, 2 Jan 2006 15:04:05 -0700 (MST)", which reads
// that layout for each message, and takes several times as long.
func AppendDate(dst []byte, t time.Time) []byte {
	zone, offset := t.Zone()
	year, month, day := t.Date()
	if year < 1000 || year > 9999 || offset%60 != 0 || zone == "" || zone[0] == '+' || zone[0] == '-' {
		return t.AppendFormat(dst, "Mon, 2 Jan 2006 15:04:05 -0700 (MST)")
	}
	dst = append(append(dst, t.Weekday().String()[:3]...), ", "...)
	if day >= 10 {
		dst = append(dst, byte('0'+day/10))
	}
	dst = append(dst, byte('0'+day%10), ' ')
	dst = append(append(dst, month.String()[:3]...), ' ')
	dst = appendTwo(appendTwo(dst, year/100), year%100)
	hour, minute, second := t.Clock()
	dst = append(appendTwo(append(dst, ' '), hour), ':')
	dst = append(appendTwo(dst, minute), ':')
	dst = append(appendTwo(dst, second), ' ')
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = appendTwo(appendTwo(append(dst, sign), offset/3600), offset/60%60)
	return append(append(append(dst, " ("...), zone...), ')')
}

// appendTwo appends a number of two digits.
func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }
