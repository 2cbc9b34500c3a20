package smtpd

import (
	"postrider/codec/line"
	"postrider/codec/smtp"
)

// maxLine bounds the octets of a command line with its end: 512 (RFC 5321
// section 4.5.3.1.4) and what SIZE, SMTPUTF8 and DSN add, rounded up.
const maxLine = 2048

// replyBudget is how many octets of replies one Feed gathers before it returns:
// HELP in 5 octets brings some hundred, and a peer may send 256 KiB of HELP.
const replyBudget = 16 << 10

// Session is the machine of one connection. It is a value to be embedded; Init
// makes it ready. Idle it is small: the memory of a transaction is made at the
// first MAIL.
type Session struct {
	cfg   *Config
	peer  Peer
	tx    *Transaction
	helo  []byte
	arg   []byte // argument of the open AskVerify or AskExpand
	chunk int64  // octets of the BDAT chunk still to come
	tally Counts

	login   *login                   // set by AUTH
	binding func(kind string) []byte // channel binding of TLS; nil without

	messages int32 // transactions that MAIL began
	errors   int32 // refusals since the last accepted message

	lines     line.Reader
	phase     Phase
	after     Phase // where a dropped chunk leads
	asking    Question
	verb      smtp.Verb    // the command that is being answered
	extended  bool         // EHLO
	verbose   bool         // VERB
	expired   expiry       // Expire was called
	last      bool         // BDAT LAST
	dropping  bool         // the octets of a refused BDAT
	leaving   bool         // Shutdown was called
	dismissed bool         // Dismiss was called
	binds     bool         // there is a channel binding
	early     bool         // octets after STARTTLS were seen before the handshake
	eager     bool         // see Eager
	client    *smtp.Client // argument of the open AskClient
}

// Init makes s ready for a connection. cfg is kept, and must not change.
func (s *Session) Init(cfg *Config, peer Peer) { *s = Session{cfg: cfg, peer: peer} }

var greeting = smtp.Reply{Code: 220, Text: " ESMTP postrider"}

// Greet begins the session.
func (s *Session) Greet(e *Effects) { s.sayHost(&greeting, e) }

// Feed takes input from the peer and returns how many octets were consumed. The
// rest is to be presented again with more after it. Feed returns as soon as it
// has produced a Body, a question, Drop or Close, or many replies; the caller
// carries out the Effects and calls again while there is input, until nothing
// is consumed: then it needs more input, or the answer to the open question, or
// it is closed. Nothing is ever produced without something consumed.
func (s *Session) Feed(in []byte, e *Effects) (n int) {
	for s.asking == AskNothing && s.phase != Closed {
		k, more := s.step(in[n:], e)
		n += k
		if !more || len(e.Body) > 0 || e.Drop || len(e.Reply) > replyBudget {
			break
		}
	}
	if s.asking == AskTLS && n < len(in) {
		s.early = true
	}
	return n
}

func (s *Session) step(in []byte, e *Effects) (n int, more bool) {
	switch s.phase {
	case InData:
		return s.readData(in, e)
	case InChunk:
		return s.readChunk(in, e)
	case Authenticating:
		return s.readResponse(in, e)
	case Securing:
		return 0, false
	}
	return s.readCommand(in, e)
}

// TimeOut ends the session: the peer was silent for too long.
func (s *Session) TimeOut(e *Effects) {
	if s.phase == InData && s.tx.lfDot {
		s.close(&waitedForDot, e)
		return
	}
	s.close(&timedOut, e)
}

// Shutdown ends the session with 421 between two transactions: now, or when the
// one that is open has ended.
func (s *Session) Shutdown(e *Effects) {
	s.leaving = true
	s.leave(e)
}

// Expire reports that the login of the session is not valid any more. An open transaction is
// void; the client still has the message. Two more commands get 421, and the session ends
// with the second one: a client that sends two at once reads a reply to both. QUIT is answered
// as usual. No question may be open.
func (s *Session) Expire(e *Effects) {
	if s.expired == valid {
		s.expired = expiring
		if s.phase.inTransaction() {
			s.endTransaction(e)
		}
	}
}

// expiry is how far a session is ended whose login is not valid any more.
type expiry uint8

const (
	valid    expiry = iota
	expiring        // the next command gets 421
	told            // it got it
)

// refuseExpired answers a command of a session whose login is not valid any more. It
// does not wait for the octets after BDAT.
func (s *Session) refuseExpired(verb smtp.Verb, e *Effects) {
	if s.expired == told || verb == smtp.Bdat {
		s.close(&expiredReply, e)
		return
	}
	s.expired = told
	s.sayHost(&expiredReply, e)
}

// leave closes the session if it is to be closed and no transaction is open.
func (s *Session) leave(e *Effects) {
	if s.leaving && s.asking == AskNothing && !s.phase.inTransaction() && s.phase != Closed {
		s.close(s.farewell(), e)
	}
}

// Dismiss has Shutdown, also as an answer, say that it is this session that ends, and not the
// server.
func (s *Session) Dismiss() { s.dismissed = true }

// farewell is the reply of Shutdown.
func (s *Session) farewell() *smtp.Reply {
	if s.dismissed {
		return &dismissal
	}
	return &shuttingDown
}

// Why the machine closes a connection.
var (
	timedOut      = smtp.Reply{Code: 421, Enhanced: "4.4.2", Text: " timeout exceeded, closing connection"}
	waitedForDot  = smtp.Reply{Code: 421, Enhanced: "4.4.2", Text: ` timeout exceeded: a dot came with LF alone, and CRLF "." CRLF ends a message; closing connection`}
	shuttingDown  = smtp.Reply{Code: 421, Enhanced: "4.3.2", Text: " is shutting down, try again later"}
	dismissal     = smtp.Reply{Code: 421, Enhanced: "4.3.2", Text: " an operator has ended this session, try again later"}
	tooManyErrors = smtp.Reply{Code: 421, Enhanced: "4.7.0", Text: " too many errors, closing connection", Reason: smtp.TooManyErrors}
	expiredReply  = smtp.Reply{Code: 421, Enhanced: "4.7.0", Text: " the account of this session has another password or is gone, sign in again", Reason: smtp.LoginOver}
	notHTTP       = smtp.Reply{Code: 421, Enhanced: "4.7.0", Text: " speaks SMTP, not HTTP; closing connection"}
	enoughMail    = smtp.Reply{Code: 421, Enhanced: "4.7.0", Text: " takes no more messages in this session, open a new one", Reason: smtp.TooManyMessages}
	bye           = smtp.Reply{Code: 221, Enhanced: "2.0.0", Text: " closing connection"}
)

// close sends r and ends the session. A draft is void. In a handshake no reply
// is sent: it would not be TLS.
func (s *Session) close(r *smtp.Reply, e *Effects) {
	if s.phase == Closed {
		return
	}
	if s.phase != Securing {
		s.sayHost(r, e)
		e.Ended = r.Because()
	}
	s.hangUp(e)
}

// hangUp ends the session without a word.
func (s *Session) hangUp(e *Effects) {
	s.forget(e)
	s.asking, e.Ask, e.Close = AskNothing, AskNothing, true
	s.enter(Closed)
}

// ask opens a question.
func (s *Session) ask(q Question, e *Effects) { s.asking, e.Ask = q, q }

// endTransaction forgets the transaction. A draft is void, unless the message
// was stored.
func (s *Session) endTransaction(e *Effects) {
	if s.phase == Closed {
		return // by the refusal that ended it
	}
	s.forget(e)
	s.enter(Greeted)
	s.leave(e)
}

func (s *Session) forget(e *Effects) {
	if s.tx != nil {
		e.Forget = e.Forget || s.phase.inTransaction()
		s.tx.drop(e)
		s.tx.reset()
	}
}

// Left reports whether the peer has ended the session, by QUIT.
func (s *Session) Left() bool { return s.tally[smtp.Quit].Good > 0 }

// Phase returns the phase of the session.
func (s *Session) Phase() Phase { return s.phase }

// InData reports whether message octets come next, and not a command: other time
// limits count.
func (s *Session) InData() bool { return s.phase == InData || s.phase == InChunk }

// Asking is the open question.
func (s *Session) Asking() Question { return s.asking }

// Peer is what Init was told.
func (s *Session) Peer() Peer { return s.peer }

// Helo is the argument of the last good HELO or EHLO, borrowed until the next;
// nil before.
func (s *Session) Helo() []byte { return s.helo }

// Extended reports whether the peer sent EHLO, and not HELO: "with ESMTP" in a
// Received field.
func (s *Session) Extended() bool { return s.extended }

// Transaction is the open transaction, or nil.
func (s *Session) Transaction() *Transaction {
	if s.asking != AskTransaction && !s.phase.inTransaction() {
		return nil
	}
	return s.tx
}

// ForwardPath is the recipient that AskRecipient is about. It is borrowed until
// the answer; that of an accepted recipient until the transaction ends.
func (s *Session) ForwardPath() smtp.ForwardPath {
	if s.asking != AskRecipient {
		return smtp.ForwardPath{}
	}
	return s.tx.Recipients[len(s.tx.Recipients)-1].To
}

// Argument is what AskVerify or AskExpand is about, as the peer wrote it, without
// control octets. It is borrowed until the answer.
func (s *Session) Argument() []byte { return s.arg }

// Counts returns which commands were given.
func (s *Session) Counts() Counts { return s.tally }
