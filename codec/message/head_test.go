package message

import (
	"bytes"
	"strings"
	"testing"
)

const sample = "Return-Path: <a@example.net>\r\n" +
	"Delivered-To: Alice@Example.com\r\n" +
	"RECEIVED: from a (a [192.0.2.1])\r\n\tby b; Sun, 22 Nov 2026 23:00:00 +0000\r\n" +
	"received : by c; x\r\n" +
	"..Dotted: a name that begins with a dot\r\n" +
	"Message-ID:\r\n <1@example.net>\r\n\t(a comment)  \r\n" +
	"message-id: <second@example.net>\r\n" +
	"From: \"A\"\r\n\t<a@example.net>  \r\n" +
	"Subject: lunch on\r\n Monday?\r\n" +
	"Date: Sun, 22 Nov 2026 23:00:00 +0000\r\n" +
	"\r\n" +
	"Received: not in the header\r\n"

// seen is all results of a Head.
type seen struct {
	done      bool
	octets    int64
	hops      int
	mid       string
	delivered bool
}

func look(h *Head) seen {
	return seen{h.Done(), h.Octets(), h.Hops(), string(h.MessageID()), h.DeliveredTo([]byte("alice@example.com"))}
}

func feed(text string) seen {
	var h Head
	h.Feed([]byte(text))
	return look(&h)
}

func TestHead_Success(t *testing.T) {
	f := func(text string, want seen) {
		t.Helper()
		if got := feed(text); got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", text, got, want)
		}
	}
	f(sample, seen{true, int64(strings.Index(sample, "\r\n\r\n") + 4), 2, "<1@example.net>\t(a comment)", true})
	f("", seen{})
	f("\r\nFrom: x\r\n", seen{done: true, octets: 2})
	f("Message-ID: x\r\n", seen{octets: 15, mid: "x"})
	f("Message-ID: x\r\nno field\r\n", seen{done: true, octets: 15, mid: "x"})
	f("From x@y Mon\r\nMessage-ID: s\r\n", seen{done: true})
	f(" x: continues nothing\r\n", seen{done: true})
	f(": no name\r\n", seen{done: true})
	f("Message-ID: s\r\n \r\n\t\r\nReceived: x\r\n\r\n", seen{done: true, octets: 36, hops: 1, mid: "s"})
	f("Message-ID: s\r\n\rReceived: x\r\n", seen{done: true, octets: 15, mid: "s"})
	f("Message-ID:"+strings.Repeat("x", 300)+"\r\n", seen{octets: 313, mid: strings.Repeat("x", maxMessageID)})
	f("Received-SPF: pass\r\nReceive: x\r\n\r\n", seen{done: true, octets: 34})
}

// slow is the obvious twin: unstuff, cut in lines, look at each.
func slow(text string) (s seen) {
	have := map[string]bool{}
	field, value := "", ""
	finish := func() {
		v := strings.TrimLeft(strings.ReplaceAll(value, "\r", ""), " \t")
		v = strings.TrimRight(v[:min(len(v), maxMessageID)], " \t")
		if field != "delivered-to" && have[field] {
			return
		}
		have[field] = true
		switch field {
		case "message-id":
			s.mid = v
		case "delivered-to":
			v = strings.NewReplacer(" ", "", "\t", "", "\r", "", "<", "", ">", "").Replace(value)
			s.delivered = s.delivered || asciiLower(v) == "alice@example.com"
		}
	}
	defer finish()
	for text != "" {
		line, rest, whole := strings.Cut(text, "\n")
		wire := int64(len(line) + 1)
		line = strings.TrimPrefix(line, ".")
		switch name, v, colon := strings.Cut(line, ":"); {
		case whole && (line == "" || line == "\r"):
			s.octets += wire
			s.done = true
			return s
		case field != "" && line != "" && strings.Contains(" \t", line[:1]):
			value += line
		case !whole && !colon && isPrefixOfField(line):
			return s // can't be known yet
		case !colon || !isFieldName(name):
			s.done = true
			return s
		default:
			finish()
			field, value = asciiLower(strings.TrimRight(name, " \t")), v
			if field == "received" {
				s.hops++
			}
		}
		if !whole {
			return s
		}
		s.octets += wire
		text = rest
	}
	return s
}

func isFieldName(s string) bool {
	s = strings.TrimRight(s, " \t")
	return s != "" && strings.Trim(s, "!\"#$%&'()*+,-./0123456789;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") == "" &&
		!strings.ContainsAny(s, "\x00\r \t")
}

func isPrefixOfField(s string) bool { return s == "" || s == "\r" || isFieldName(s) }

// A message with more Delivered-To fields than are remembered has been everywhere.
func TestHead_ManyDeliveries(t *testing.T) {
	for n, want := range map[int]bool{0: false, maxDelivered: false, maxDelivered + 1: true, 10 * maxDelivered: true} {
		var h Head
		h.Feed([]byte(strings.Repeat("Delivered-To: a@b.example\r\n", n) + "Subject: x\r\n\r\nDelivered-To: c@d.example\r\n"))
		if h.Deliveries() != n || h.DeliveredTo([]byte("c@d.example")) != want || h.DeliveredTo([]byte("a@b.example")) != (n > 0) {
			t.Errorf("%d fields: %d, %v, %v", n, h.Deliveries(), h.DeliveredTo([]byte("c@d.example")), h.DeliveredTo([]byte("a@b.example")))
		}
	}
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 32
		}
		return r
	}, s)
}

func FuzzHead(f *testing.F) {
	f.Add(sample, uint8(3))
	f.Add("From : x\r\nno field", uint8(1))
	f.Add(".\r\n..x:\r\n. y\r\n", uint8(2))
	f.Add("Delivered-To: <alice@\r\n example.com>\r\n\r", uint8(5))
	f.Fuzz(func(t *testing.T, text string, cut uint8) {
		if strings.Count(asciiLower(text), "delivered-to") > maxDelivered || strings.ToValidUTF8(text, "") != text {
			return
		}
		want := slow(text)
		if got := feed(text); got != want {
			t.Fatalf("%q:\n got %+v\nwant %+v", text, got, want)
		}
		var h Head
		buf := make([]byte, int(cut%7)+1)
		for in := text; in != ""; {
			n := copy(buf, in)
			h.Feed(buf[:n])
			in = in[n:]
			for i := range buf {
				buf[i] = ':' // a Head that borrowed its input would notice
			}
		}
		if got := look(&h); got != want {
			t.Fatalf("%q cut every %d:\n got %+v\nwant %+v", text, len(buf), got, want)
		}
	})
}

func TestHead_allocatesNothing(t *testing.T) {
	var h Head
	text := []byte(sample)
	if n := testing.AllocsPerRun(100, func() {
		h.Reset()
		h.Feed(text)
		_ = h.MessageID()
		_ = h.DeliveredTo(text[:10])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHead(b *testing.B) {
	var h Head
	text := []byte(sample)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		h.Reset()
		h.Feed(text)
	}
}

func BenchmarkHead_body(b *testing.B) {
	var h Head
	h.Feed([]byte(sample))
	body := bytes.Repeat([]byte("text\r\n"), 10000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		h.Feed(body)
	}
}
