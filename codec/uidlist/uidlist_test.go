package uidlist

import (
	"crypto/md5"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A dovecot-uidlist as Dovecot 2.3 writes it: of a Maildir that it filled itself, with
// sizes, one that dsync filled from a Courier, with P, G and O, and one of version 1.
func TestReadDovecot(t *testing.T) {
	f := func(text string, validity uint32, wrong int, want ...Message) {
		t.Helper()
		got, err := ReadDovecot(strings.NewReader(text))
		if err != nil || got.Validity != validity || got.Wrong != wrong || len(got.Messages)+len(want) > 0 && !reflect.DeepEqual(got.Messages, want) {
			t.Errorf("%.40q: %+v, %v", text, got, err)
		}
	}
	f("3 V1700000000 N4 G3085f01b7f11094c501100008c4a11c1\n"+
		"1 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n"+
		"2 W2481 :1276533073.M242911P3632.kurkku:2,F\n"+
		"3 S1355 W1394 :1276533074.M1P2.kurkku\n", 1700000000, 0,
		Message{UID: 1, File: "1276528487.M364837P9451.kurkku,S=1355,W=1394:2,"},
		Message{UID: 2, File: "1276533073.M242911P3632.kurkku:2,F"},
		Message{UID: 3, File: "1276533074.M1P2.kurkku"})
	f("3 V1 N9 Gabc\n"+
		"5 O2 PUID5-1234567 G0a1b :a:2,S\n"+
		"6 P  O1 :b\n"+
		"7 P:x: :c d\n", 1, 0,
		Message{UID: 5, File: "a:2,S", Kept: true, UIDL: "UID5-1234567", GUID: "0a1b", Order: 2},
		Message{UID: 6, File: "b", Kept: true, Order: 1},
		Message{UID: 7, File: "c d", Kept: true, UIDL: ":x:"})
	f("1 1700000000 9\n4 100.M10P1.h:2,S\n5 with a space\n", 1700000000, 0, Message{UID: 4, File: "100.M10P1.h:2,S"}, Message{UID: 5, File: "with a space"})
	f("3 N9 V7\r\n1 :a\r\n", 7, 0, Message{UID: 1, File: "a"})
	f("3 V7 N1", 7, 0)
	f("3 V7 N1\nx :a\n0 :b\n4294967295 :c\n1:d\n2 P:e\n3 :f/g\n4 \n\n6 :\n18446744073709551617 :h\n7 :i", 7, 10, Message{UID: 7, File: "i"})
	f("3 V7 N1\n1 :"+strings.Repeat("x", 5000)+"\n2 :a\n", 7, 1, Message{UID: 2, File: "a"})
	for _, bad := range []string{"", "\n", "2 V1 N1\n", "3 N1\n", "3 V0 N1\n", "3 V4294967296 N1\n", "3 Vx N1\n", "1 5\n", "1 0 5\n", "From a@b\n", "\x00\x00"} {
		var format *FormatError
		if _, err := ReadDovecot(strings.NewReader(bad)); !errors.As(err, &format) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Courier's lists of all versions, and the unique-ids that its server makes of them.
func TestReadCourier(t *testing.T) {
	f := func(text string, wrong int, want ...CourierMessage) {
		t.Helper()
		got, err := ReadCourier(strings.NewReader(text))
		if err != nil || got.Wrong != wrong || len(got.Messages)+len(want) > 0 && !reflect.DeepEqual(got.Messages, want) {
			t.Errorf("%.40q: %+v, %v", text, got, err)
		}
	}
	f("/2 8 1234567890\n1100000000.M1P2V3I4_0.host,S=1234 1300 5:1234567890\n1100000001.M1P2.host:2,S 99 7:0\n1100000002.o'h+\xe4.host:2, 99 0:0\n", 0,
		CourierMessage{"1100000000.M1P2V3I4_0.host,S=1234", "UID5-1234567890"},
		CourierMessage{"1100000001.M1P2.host:2,S", "UID7"},
		CourierMessage{"1100000002.o'h+\xe4.host:2,", "1100000002.o+27h+2B+E4.host"})
	f("/3 8 1234567890\na b 1300 5:1234567890:1\nc 1 6:1234567890:0\n", 0, CourierMessage{"a b", "UID5-1234567890"}, CourierMessage{"c", "UID6-1234567890"})
	f("/1 8\na 1300 5\n", 0, CourierMessage{"a", "UID5"})
	f("a 5\nb 0\n", 0, CourierMessage{"a", "UID5"}, CourierMessage{"b", "b"})
	f("/2 1 2\n", 0)
	f("/2 1 2\na\na 1\n 1 1:1\na 1 x\na x 1:1\na 1 1:\na 1 1:1:1:1\na 1 1-1\n\na 1 1:99999999999999999999\nb 1 1:2", 10, CourierMessage{"b", "UID1-2"})
	for _, bad := range []string{"", "\n", "/4 1 2\n", "/0 1 2\n", "/2\n", "/2 x\n", "From a@b c\n", "\x89PNG\n"} {
		var format *FormatError
		if _, err := ReadCourier(strings.NewReader(bad)); !errors.As(err, &format) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReadMap(t *testing.T) {
	got, err := ReadMap(strings.NewReader("# a map\n\n1 one\n 2\t two \r\na name with  spaces\tthree\n#x y\n"))
	if err != nil || !reflect.DeepEqual(got, map[string]string{"1": "one", "2": "two", "a name with  spaces": "three"}) {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"x\n", "a b\na c\n", "a \xe4\n", "a " + strings.Repeat("x", 71) + "\n", strings.Repeat("x", 5000) + " y\n"} {
		var format *FormatError
		if got, err := ReadMap(strings.NewReader("1 one\n" + bad)); !errors.As(err, &format) || format.Line < 2 {
			t.Errorf("%.20q: %q, %v", bad, got, err)
		}
	}
}

// What Dovecot makes of the formats in its documentation, and of each modifier.
func TestFormat(t *testing.T) {
	m := Facts{UID: 25006, Validity: 1275660208, File: "1276.M3P9.Kurkku,S=13", GUID: "0a1b"}
	sum := fmt.Sprintf("%x", md5.Sum([]byte(m.File)))
	for format, want := range map[string]string{
		DefaultFormat: "000061ae4c0907b0", "%08Xv%08Xu": "4c0907b0000061ae", "%v.%u": "1275660208.25006", "%u": "25006", "%v-%u": "1275660208-25006",
		"%g": "0a1b", "%f": m.File, "%Mf": sum, "%{guid}": "0a1b", "%{uid | hex(8)}%{uidvalidity | hex(8)}": "000061ae4c0907b0",
		"%{uid|hex|upper}": "61AE", "%{filename|lower}": "1276.m3p9.kurkku,s=13", "a%%b%u": "a%b25006", "%Uf": "1276.M3P9.KURKKU,S=13", "%Lf": "1276.m3p9.kurkku,s=13",
		"%Ru": "60052", "%3u": "250", "%2.u": "006", "%2.2u": "00", "%-2.u": "06", "%08u": "00025006", "%2.-1u": "00", "%9.u": "", "%XRu": "ea16", "%Tu": "25006",
	} {
		f, err := ParseFormat(format)
		if err != nil {
			t.Errorf("%q: %v", format, err)
		} else if got := f.UIDL(m); got != want {
			t.Errorf("%q makes %q, want %q", format, got, want)
		}
	}
	for format, want := range map[string]string{"": "all messages", "%v": "all messages", "x": "all messages", "%": "middle", "%08": "middle", "%X": "middle", "%q": "%q is not known",
		"%{": "no \"}\"", "%{x}": "\"x\" is not known", "%m": "--uidl-map", "%{md5}": "--uidl-map", "%{uid|x}": "\"x\" is not known", "%{uid|hex(x)}": "0 to 64", "%{uid|hex(99)}": "0 to 64"} {
		if _, err := ParseFormat(format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", format, err, want)
		}
	}
	for format, want := range map[string]bool{"%u": true, "%v%f": true, "%f": false, "%Mg": false} {
		if f, _ := ParseFormat(format); f.NeedsUID() != want {
			t.Errorf("%q needs a UID: %v", format, !want)
		}
	}
}
