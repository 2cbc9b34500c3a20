package smtpd

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"postrider/storage"
)

// bulk is a session without errors, as a bulk mailer pipelines it.
var bulk = []byte("EHLO mailer.example\r\n" +
	"MAIL FROM:<bounce+1=alice=example.com@mailer.example> SIZE=1200 BODY=8BITMIME RET=HDRS ENVID=a+2Bb\r\n" +
	"RCPT TO:<alice@example.com> NOTIFY=FAILURE ORCPT=rfc822;alice@example.com\r\n" +
	"RCPT TO:<\"bob smith\"@example.com>\r\nDATA\r\n" +
	bulkText + ".\r\nRSET\r\nNOOP\r\nFOO\r\n" +
	"MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nBDAT 8\r\n.\r\n..\r\n.BDAT 4 LAST\r\nab\r\n")

var bulkText = func() string {
	text := "Received: from a by b\r\nFrom: a@mailer.example\r\nMessage-ID: <1@mailer.example>\r\nSubject: hello\r\n\r\n"
	for len(text) < 1200 {
		text += "All work and no play makes Jack a dull boy. All work and no play.\r\n..dots\r\n"
	}
	return text
}()

// run plays in and answers every question with Yes; it returns how many messages
// were stored.
func run(s *Session, in []byte, e *Effects) (stored int) {
	for {
		e.Reset()
		n := s.Feed(in, e)
		in = in[n:]
		for e.Ask != AskNothing {
			a := Answer{Verdict: Yes}
			if e.Ask == AskStored {
				a.Receipt = storage.NewReceipt(1)
				stored++
			}
			e.Reset()
			s.Answer(a, e)
		}
		if n == 0 {
			return stored
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	cfg := testConfig()
	cfg.MaxSize, cfg.MaxErrors = 1<<20, 0
	var s Session
	var e Effects
	s.Init(&cfg, Peer{Addr: "192.0.2.1", Name: "client.example"})
	if got := run(&s, bulk, &e); got != 2 {
		t.Fatalf("%d messages stored, want 2", got)
	}
	if a := testing.AllocsPerRun(100, func() { run(&s, bulk, &e) }); a != 0 {
		t.Errorf("%v allocations in a session, want none", a)
	}
}

// An idle session is what 100,000 connections cost each.
func TestIdleSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Session{}); n > 300 {
		t.Errorf("a Session has %d octets, want at most 300", n)
	}
}

// Recipients borrow from blocks that are never copied, their ORCPT is not kept beside the
// caller's, and what a transaction takes grows as they do.
func TestRecipientsInBlocks(t *testing.T) {
	cfg := testConfig()
	cfg.MaxRecipients = 5000
	orcpt := strings.Repeat("o", 400)
	before := 0
	for _, n := range []int{500, 1000, 2000} {
		var s Session
		var e Effects
		s.Init(&cfg, Peer{Addr: "192.0.2.1", Name: "client.example"})
		run(&s, []byte("EHLO c\r\nMAIL FROM:<a@b.example> ENVID=x\r\n"), &e)
		sum := 0
		for i := range n {
			path := fmt.Sprintf("user%d@%d.example.com", i, i)
			sum += len(path)
			in := []byte("RCPT TO:<" + path + "> ORCPT=rfc822;" + orcpt + "\r\n")
			run(&s, in, &e)
			clear(in)
		}
		tx := s.Transaction()
		for i, r := range tx.Recipients {
			if want := fmt.Sprintf("user%d@%d.example.com", i, i); r.To.String() != want || r.ORcpt != nil {
				t.Fatalf("recipient %d is %s, ORCPT %q", i, r.To, r.ORcpt)
			}
		}
		// 88 octets for each of the slice, which append makes up to a half too long.
		if got := tx.Octets(); len(tx.Recipients) != n || got > 2*sum+n*150+lastBlock || before > 0 && got > 3*before {
			t.Errorf("%d recipients of %d octets: %d octets, half as many %d", n, sum, got, before)
		}
		before = tx.Octets()
		run(&s, []byte("RSET\r\nMAIL FROM:<>\r\n"), &e)
		if got := s.Transaction().Octets(); got > lastBlock+keptRecipients*100 {
			t.Errorf("%d octets are kept after RSET", got)
		}
	}
}
