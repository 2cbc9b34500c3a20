package message

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAppendReceived_Success(t *testing.T) {
	at := time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)
	f := func(r Received, want string) {
		t.Helper()
		r.Host, r.At, r.ID = "mx.example.com", at, []byte("0000000000001")
		if got := string(AppendReceived(nil, r)); got != want {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
	}
	f(Received{Helo: []byte("a.example"), RDNS: "r.example", IP: netip.MustParseAddr("192.0.2.1"), With: "ESMTP", For: []byte("b@example.com")},
		"Received: from a.example (r.example [192.0.2.1])\r\n\tby mx.example.com (postrider) with ESMTP id 0000000000001\r\n"+
			"\tfor <b@example.com>; Sun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\n")
	f(Received{Helo: []byte("[IPv6:2001:db8::1]"), IP: netip.MustParseAddr("2001:db8::1%eth0"), With: "SMTP"},
		"Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])\r\n\tby mx.example.com (postrider) with SMTP id 0000000000001;\r\n"+
			"\tSun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\n")
	f(Received{Helo: []byte("x\r\n.y) ;\xc3\xa9"), IP: netip.MustParseAddr("::ffff:192.0.2.1"), With: "ESMTP", For: []byte("\"a\r\nb\"@c")},
		"Received: from x??.y?????\x20(unknown [192.0.2.1])\r\n\tby mx.example.com (postrider) with ESMTP id 0000000000001\r\n"+
			"\tfor <\"a??b\"@c>; Sun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\n")
	f(Received{Helo: []byte("é"), IP: netip.MustParseAddr("192.0.2.1"), With: "UTF8SMTPS"},
		"Received: from é (unknown [192.0.2.1])\r\n\tby mx.example.com (postrider) with UTF8SMTPS id 0000000000001;\r\n"+
			"\tSun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\n")
	f(Received{Local: "userid 1000"},
		"Received: by mx.example.com (postrider, from userid 1000) id 0000000000001;\r\n\tSun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\n")
	f(Received{Local: "u)\r\n", For: []byte("b@example.com")},
		"Received: by mx.example.com (postrider, from u???) id 0000000000001\r\n\tfor <b@example.com>; Sun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\n")
	f(Received{IP: netip.MustParseAddr("192.0.2.1"), With: "ESMTPS", Client: "dev7", Issuer: "X)\r\nY: "},
		"Received: from unknown (unknown [192.0.2.1])\r\n\tby mx.example.com (postrider) with ESMTPS\r\n\t(Client CN \"dev7\", Issuer \"X???Y: \" (verified OK))\r\n\tid 0000000000001;\r\n\tSun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\n")
	f(Received{With: "ESMTP"},
		"Received: by mx.example.com (postrider) with ESMTP id 0000000000001;\r\n\tSun, 22 Nov 2026 23:00:00 +0000 (UTC)\r\n")
}

func FuzzAppendReceived(f *testing.F) {
	f.Add([]byte("a\r\nb"), []byte("x@y"), "r", true)
	f.Fuzz(func(t *testing.T, helo, rcpt []byte, rdns string, utf8 bool) {
		if strings.ContainsAny(rdns, "\r\n:") {
			return // the resolver gives host names only
		}
		field := AppendReceived(nil, Received{Helo: helo, RDNS: rdns, IP: netip.MustParseAddr("192.0.2.1"), Host: "h",
			With: With(true, utf8, true, true), ID: []byte("1"), For: rcpt, Client: string(helo), Issuer: string(rcpt), At: time.Unix(0, 0).UTC()})
		for _, line := range strings.Split(string(field), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("line %q", line)
			}
		}
		var h Head
		h.Feed(append(field, "\r\n"...))
		if h.Hops() != 1 || !h.Done() || h.Octets() != int64(len(field)+2) {
			t.Fatalf("%q is not one field", field)
		}
	})
}

// RFC 3848 section 2, RFC 6531 section 4.3.
func TestWith(t *testing.T) {
	for want, got := range map[string]string{
		"SMTP": With(false, false, false, false), "ESMTP": With(true, false, false, false),
		"ESMTPS": With(true, false, true, false), "ESMTPA": With(true, false, false, true),
		"ESMTPSA": With(true, false, true, true), "UTF8SMTPSA": With(true, true, true, true),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAppendTrace(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(AppendReturnPath(nil, nil), "Return-Path: <>\r\n")
	f(AppendReturnPath(nil, []byte("a@b")), "Return-Path: <a@b>\r\n")
	f(AppendDeliveredTo([]byte("x"), []byte("a\n@b")), "xDelivered-To: a?@b\r\n")
}

func TestAppendReceived_allocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 1024)
	r := Received{Helo: []byte("a"), IP: netip.MustParseAddr("192.0.2.1"), Host: "h", With: "ESMTP", At: time.Unix(0, 0)}
	if n := testing.AllocsPerRun(100, func() { dst = AppendReceived(dst[:0], r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
