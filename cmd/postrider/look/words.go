package look

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// octets is a size for people: 999 B, 1.2 KiB, 34 MiB.
func octets(n int64) string {
	if n > -1024 && n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n), "KMGTPE"
	for v /= 1024; (v >= 1024 || v <= -1024) && len(units) > 1; v /= 1024 {
		units = units[1:]
	}
	if v < 10 && v > -10 {
		return fmt.Sprintf("%.1f %ciB", v, units[0])
	}
	return fmt.Sprintf("%.0f %ciB", v, units[0])
}

// span is a time for people, in its two largest units: 12s, 3m20s, 2h5m, 4d7h.
func span(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
}

// count is a number with its noun: "1 session", "2 sessions".
func count(n int64, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// plain is text of a client or of DNS without what could command a terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// width is how many columns a screen of these commands has.
const width = 80

// wrapped puts parts on lines of at most width columns, after a title on the first one.
func wrapped(title string, parts []string, between string) string {
	const indent = 13
	var b strings.Builder
	at := 0
	for i, part := range parts {
		if i > 0 {
			b.WriteString(strings.TrimRight(between, " "))
		}
		switch n := len([]rune(part)) + len(between); {
		case i > 0 && at+n <= width:
			b.WriteString(strings.Repeat(" ", len(between)-len(strings.TrimRight(between, " "))))
			at += n
		default:
			if i > 0 {
				b.WriteByte('\n')
				title = ""
			}
			fmt.Fprintf(&b, "%-*s", indent, title)
			at = indent + n
		}
		b.WriteString(part)
	}
	if len(parts) == 0 {
		return ""
	}
	return b.String() + "\n"
}
