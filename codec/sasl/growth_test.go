package sasl

import (
	"testing"

	"postrider/codec/growth"
)

// A message of a login is read in one pass, whatever is in it.
func TestExchange_Growth(t *testing.T) {
	verifier, err := NewVerifier("x", []byte("0123456789abcdef"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	ctx := Context{Hostname: "mx.example", Nonce: func() string { return "fresh" }}
	for _, h := range []struct{ begin, unit, end string }{
		{"n,,n=", "=2C", ",r=x"}, {"n,,n=", "=", ",r=x"}, {"n,,n=a,r=", "x", ""}, {"n,,n=a,r=x", ",a=b", ""}, {"n,a=", "=3D", ",n=a,r=x"}, {"", ",", ""}, {"n,,n=a,r=x,", "\x01", ""},
		{"p=", "x", ",,n=a,r=x"}, {"", "\x00", ""}, {"a\x00b\x00", "\x00", ""}, {"", "x", "\x00a\x00b"}, {"a ", "0", ""}, {"a", " ", "0"}, {"n,,n=a,m=", "m=", ",r=x"}, {"", "\xc3\xa4", ""},
	} {
		for _, m := range []Mechanism{Plain, Login, ScramSHA256, ScramSHA256Plus} {
			growth.Linear(t, m.String()+" "+h.begin+h.unit+h.end, 8<<10, func(n int) func() {
				message := []byte(h.begin + growth.Repeat(h.unit, n) + h.end)
				return func() {
					var x Exchange
					if x.Start(ctx, m, message, true) == Credentials {
						x.Use(verifier)
					}
					x.Next(message)
				}
			})
		}
	}
	for _, unit := range []string{",p=", ",", "c=", "c=biws,r=xfresh,p=", "A", "=", "c=biws,r="} {
		growth.Linear(t, "the last message: "+unit, 8<<10, func(n int) func() {
			last := []byte("c=biws,r=xfresh," + growth.Repeat(unit, n) + ",p=AAAA")
			return func() {
				var x Exchange
				if x.Start(ctx, ScramSHA256, []byte("n,,n=a,r=x"), true) == Credentials {
					x.Use(verifier)
				}
				x.Next(last)
			}
		})
	}
}

func TestDecode_Growth(t *testing.T) {
	for _, unit := range []string{"A", "=", "AAAA", "!", "A=", "\r\n"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			text := []byte(growth.Repeat(unit, n))
			return func() {
				_, _ = Decode(nil, text)
				_, _ = DecodeInitial(nil, text)
			}
		})
	}
}
