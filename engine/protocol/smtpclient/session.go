package smtpclient

import "postrider/codec/smtp"

// keptResults bounds the results whose memory a session keeps between
// transactions.
const keptResults = 1000

// Session is the machine of one connection. It is a value to be embedded; Init
// makes it ready.
type Session struct {
	cfg   *Config
	offer offer
	auth  exchange

	tx       *Transaction
	at, next place // the command of the next reply, and the next one to be written
	results  []Result
	accepted int    // recipients that the peer took
	rest     Result // for the recipients that are undecided at the end
	utf8     bool   // this transaction goes with SMTPUTF8
	crowded  bool   // the peer refused recipients because there were too many
	outcome  Outcome

	fault    Result // what failed at the host
	said     string // the last reply that was kept: many are alike
	messages int    // transactions so far
	secured  bool   // the connection is under TLS
	heard    bool   // and the peer has answered us there
	dirty    bool   // the last transaction failed: RSET comes first
	early    bool   // the peer spoke when no reply was due
	scan     smtp.ReplyScan
	filler   smtp.ReplyScan // text that comes while no reply is due: see isFiller
	declined bool           // the peer refused STARTTLS, and the session went on in clear text
	unheard  bool           // the session broke at STARTTLS
}

// Init makes s ready for a connection that has been made. cfg is kept.
func (s *Session) Init(cfg *Config) { *s = Session{cfg: cfg, results: s.results[:0]} }

// Ready reports whether Begin may be called: there is no transaction, and the
// session is usable, or may still become usable, for one more.
func (s *Session) Ready() bool {
	return s.tx == nil && !s.early && s.at.phase <= idle
}

// Begin hands over a transaction. What it sends comes at once, or when the
// handshake is over. It panics when the session is not Ready, and when there is
// no recipient.
func (s *Session) Begin(tx *Transaction, e *Effects) {
	if !s.Ready() || len(tx.Recipients) == 0 {
		panic("BUG: smtpclient: Begin wants a session that is Ready and a recipient")
	}
	s.tx, s.accepted, s.rest, s.utf8, s.crowded = tx, 0, Result{}, false, false
	if cap(s.results) > keptResults || cap(s.results) < len(tx.Recipients) {
		s.results = make([]Result, len(tx.Recipients))
	}
	s.results = s.results[:len(tx.Recipients)]
	clear(s.results)
	if s.at.phase == idle {
		s.start(e)
	}
}

// start begins to send the transaction.
func (s *Session) start(e *Effects) {
	if !s.check() {
		s.end(e)
		return
	}
	s.at = place{phase: mailing}
	if s.dirty {
		s.at.phase = resetting
	}
	s.next = s.at
	s.messages++
	s.dirty = true
	s.proceed(e)
}

// Feed takes input from the peer and returns how many octets were consumed: whole
// replies. The rest is to be presented again with more after it. Feed returns as
// soon as it asks or has an Outcome; the caller carries out the Effects and
// calls again while there is input, until nothing is consumed: then it needs more
// input, or it is asking, or it is closed.
func (s *Session) Feed(in []byte, e *Effects) (n int) {
	for n < len(in) && s.at.phase != closed {
		if s.at.phase == securing {
			if e.StartTLS {
				break // the rest is an injection, whenever it is presented
			}
			s.injected(e)
			break
		}
		if s.at.phase == idle || s.at.phase == streaming {
			if len(in)-n < s.cfg.maxReply() && s.isFiller(in[n:]) {
				break // it belongs to the next reply, whose command was not sent yet
			}
			s.early = true
			if e.Outcome != nil || e.Ask != AskNothing {
				break // one at a time; the rest is early, whenever it is presented
			}
		}
		r, k, err := s.scan.Next(in[n:], s.cfg.maxReply())
		if err != nil {
			if s.at.phase == idle {
				s.close(e)
			} else {
				s.broken(s.own("4.5.0", words(err, in[n:], s.cfg.maxReply()), ScopeHost), e)
			}
			break
		}
		if k == 0 {
			break
		}
		n += k
		s.filler = smtp.ReplyScan{}
		s.answer(r, e)
	}
	return n
}

// isFiller reports whether in has nothing so far that is more than text before a reply.
// It has a scan of its own: the one that reads the reply would not look again for the
// ends of lines that were read here, and take several lines for one.
func (s *Session) isFiller(in []byte) bool { return s.filler.IsFiller(in) }

// BodyDone reports that the message has been sent. It is called before anything is fed
// that was read after the last octet: what is fed until then is not the reply to the
// message.
func (s *Session) BodyDone(e *Effects) {
	switch s.at.phase {
	case closed:
		return // the peer did not want all of it
	case streaming:
	default:
		panic("BUG: smtpclient: BodyDone, but the message was not asked for")
	}
	e.Send = append(e.Send, ".\r\n"...)
	s.enter(ending)
}

// BodyFailed reports that the message can't be read to its end. The connection is
// closed: a message that has begun can't be ended in another way.
func (s *Session) BodyFailed(e *Effects) {
	if s.at.phase != streaming {
		return
	}
	s.abandon(s.own("4.3.0", "our copy of the message can't be read", ScopeMessage), e)
}

// Quit ends the session: politely when it is idle. A transaction that is open
// fails for now.
func (s *Session) Quit(e *Effects) {
	switch s.at.phase {
	case idle:
		s.quit(e)
	case quitting, closed:
	default:
		doubt := s.at.phase == ending
		s.abandon(s.own("4.3.2", "we ended the session while "+stages[s.at.phase].doing, ScopeMessage), e)
		s.outcome.Doubt = doubt
	}
}

// TimeOut reports that the peer took too long; Waiting tells for what.
func (s *Session) TimeOut(e *Effects) { s.gone("timed out while ", e) }

// Lost reports that the connection is gone: the peer closed it, or the network.
func (s *Session) Lost(e *Effects) { s.gone("lost connection while ", e) }

func (s *Session) gone(how string, e *Effects) {
	switch s.at.phase {
	case closed:
	case idle, quitting:
		s.close(e)
	default:
		s.broken(s.own("4.4.2", how+stages[s.at.phase].doing, ScopeHost), e)
	}
}

// Waiting is what the peer is waited for now.
func (s *Session) Waiting() Wait { return stages[s.at.phase].wait }

// InTransaction reports whether commands of a mail transaction were sent and are not yet
// all answered.
func (s *Session) InTransaction() bool { return s.at.phase >= resetting && s.at.phase <= voiding }

// Fault returns what is wrong with the host, and whether anything is: other sessions
// would meet it too. It is no fault that a peer ends an idle session.
func (s *Session) Fault() (Result, bool) { return s.fault, s.fault.Verdict != Undecided }

// enter changes the phase where no transaction's cursor does.
func (s *Session) enter(p phase) { s.at = place{phase: p} }
