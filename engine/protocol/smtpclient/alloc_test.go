package smtpclient

import "testing"

// script is what a peer sends, turn by turn, and a client that is ready for it.
type script struct {
	s   Session
	e   Effects
	tx  *Transaction
	out int // octets sent
}

var (
	helloTurn = []byte("220 mx.example ESMTP\r\n")
	offerTurn = []byte("250-mx.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n")
	groupTurn = []byte("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n")
	endTurn   = []byte("250 2.0.0 Ok: queued\r\n")
)

func newScript(tb testing.TB) *script {
	c := &script{tx: &Transaction{ReversePath: "bounce+1=alice=example.com@mailer.example", Size: 4096, EnvID: "a+2Bb", Recipients: []Recipient{
		{ForwardPath: "alice@mx.example", ORcpt: "rfc822;alice@mx.example"}, {ForwardPath: "bob@mx.example"}}}}
	c.s.Init(&Config{Helo: "client.example"})
	c.feed(helloTurn)
	c.feed(offerTurn)
	if !c.message() {
		tb.Fatal("the message was not delivered")
	}
	return c
}

func (c *script) feed(in []byte) (delivered bool) {
	c.e.Reset()
	c.s.Feed(in, &c.e)
	c.out += len(c.e.Send)
	return c.e.Outcome != nil && c.e.Outcome.Results[1].Verdict == Delivered
}

// message sends one message; it reports whether the peer took it.
func (c *script) message() bool {
	c.e.Reset()
	c.s.Begin(c.tx, &c.e)
	c.out += len(c.e.Send)
	c.feed(groupTurn)
	if c.e.Ask != AskBody {
		return false
	}
	c.e.Reset()
	c.s.BodyDone(&c.e)
	return c.feed(endTurn)
}

// The text of the last reply is kept; when it changes with each message, that is
// the one allocation.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	c := newScript(t)
	if a := testing.AllocsPerRun(100, func() { c.message() }); a != 0 {
		t.Errorf("%v allocations for a message, want none", a)
	}
}
