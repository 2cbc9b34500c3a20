package smtpd

import (
	"testing"

	"postrider/codec/smtp"
	"postrider/storage"
)

// RFC 2920 section 3.1: EHLO and DATA end a group of commands, and a client that sent HELO
// may send no groups at all.
func TestEager(t *testing.T) {
	f := func(want bool, bursts ...string) {
		t.Helper()
		cfg := testConfig()
		var s Session
		var e Effects
		s.Init(&cfg, Peer{Addr: "192.0.2.1"})
		s.Greet(&e)
		for _, burst := range bursts {
			for in := []byte(burst); len(in) > 0; {
				e.Reset()
				in = in[s.Feed(in, &e):]
				if e.Ask != AskNothing {
					s.Answer(Answer{Verdict: Yes, Receipt: storage.NewReceipt(1)}, &e)
				}
			}
		}
		if s.Eager() != want {
			t.Errorf("%q: %v", bursts, s.Eager())
		}
	}
	const envelope = "MAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\n"
	f(false, "EHLO c\r\n", envelope+"DATA\r\n", "x\r\n.\r\nQUIT\r\n")
	f(false, "EHLO c\r\n", envelope+"DATA\r\n", "x\r\n.\r\n"+envelope+"DATA\r\n")
	f(false, "EHLO c\r\n", envelope, "BDAT 3 LAST\r\nx\r\n"+envelope)
	f(false, "HELO c\r\n", "MAIL FROM:<a@c.example>\r\n", "QUIT\r\n")
	f(true, "EHLO c\r\n"+envelope)
	f(true, "HELO c\r\n", envelope)
	f(true, "EHLO c\r\n", envelope+"DATA\r\nx\r\n.\r\n")
}

func TestTurnAway(t *testing.T) {
	cfg := testConfig()
	var s Session
	var e Effects
	s.Init(&cfg, Peer{Addr: "192.0.2.1"})
	s.TurnAway(&smtp.Reply{Code: 421, Enhanced: "4.7.0", Text: "too often"}, &e)
	if got := string(e.Reply); got != "421 4.7.0 too often\r\n" || !e.Close || s.Phase() != Closed {
		t.Errorf("%q, close %v", got, e.Close)
	}
	e.Reset()
	s.TurnAway(&smtp.Reply{Code: 421}, &e)
	if n := s.Feed([]byte("EHLO c\r\n"), &e); n != 0 || len(e.Reply) > 0 || e.Close {
		t.Errorf("a closed session goes on: %d, %q", n, e.Reply)
	}
}
