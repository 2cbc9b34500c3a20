package smtpd

import (
	"testing"

	"postrider/storage"
)

// The caller keeps something for each transaction that has begun, recipients or not. It is
// told of the end of each, however that comes.
func TestEachTransactionIsForgotten(t *testing.T) {
	cfg := testConfig()
	for _, recipients := range []string{"", "RCPT TO:<a@b.test>\r\n"} {
		for name, end := range map[string]func(s *Session, e *Effects){
			"RSET":      func(s *Session, e *Effects) { s.Feed([]byte("RSET\r\n"), e) },
			"EHLO":      func(s *Session, e *Effects) { s.Feed([]byte("EHLO c\r\n"), e) },
			"HELO":      func(s *Session, e *Effects) { s.Feed([]byte("HELO c\r\n"), e) },
			"QUIT":      func(s *Session, e *Effects) { s.Feed([]byte("QUIT\r\n"), e) },
			"time":      func(s *Session, e *Effects) { s.TimeOut(e) },
			"a drain":   func(s *Session, e *Effects) { s.Shutdown(e); s.Feed([]byte("RSET\r\n"), e) },
			"the login": func(s *Session, e *Effects) { s.Expire(e) },
			"a message": func(s *Session, e *Effects) {
				s.Feed([]byte("RCPT TO:<a@b.test>\r\n"), e)
				s.Answer(Answer{Verdict: Yes}, e)
				s.Feed([]byte("BDAT 1 LAST\r\nx"), e)
				s.Answer(Answer{Verdict: Yes, Receipt: storage.NewReceipt(1)}, e)
			},
			"a message that is not stored": func(s *Session, e *Effects) {
				s.Feed([]byte("RCPT TO:<a@b.test>\r\n"), e)
				s.Answer(Answer{Verdict: Yes}, e)
				s.Feed([]byte("BDAT 1 LAST\r\nx"), e)
				s.Answer(Answer{Verdict: Failed}, e)
			},
		} {
			var s Session
			var e Effects
			s.Init(&cfg, Peer{Addr: "192.0.2.1", Name: "client.example"})
			run(&s, []byte("EHLO c\r\nMAIL FROM:<a@b.test>\r\n"+recipients), &e)
			if !s.Phase().inTransaction() {
				t.Fatalf("%s: no transaction, phase %v", name, s.Phase())
			}
			for _, in := range []string{"", "NOOP\r\n"} {
				e.Reset()
				if s.Feed([]byte(in), &e); e.Forget {
					t.Errorf("%s: forgotten before its end", name)
				}
			}
			e.Reset()
			if end(&s, &e); !e.Forget || s.Phase().inTransaction() {
				t.Errorf("%s, recipients %q: forgotten %v, phase %v", name, recipients, e.Forget, s.Phase())
			}
		}
	}
}
