package pop3d

import (
	"postrider/codec/line"
	"postrider/codec/pop3"
	"postrider/codec/sasl"
	"postrider/storage"
)

// Session is one POP3 session. Init makes it ready. It is used by one goroutine
// at a time. It is small while idle, because most sessions are idle.
type Session struct {
	cfg       *Config
	exchange  *sasl.Exchange // an AUTH exchange that is not finished
	binding   func(kind string) []byte
	timestamp string // in the greeting, for APOP
	user      string // named by USER or APOP
	secret    string // password or digest, while the login is open
	listing   *storage.Listing
	marks     []uint64 // deleted messages; nil until the first DELE
	expire    int      // days that mail stays; 0: for ever
	kept      int64    // octets of the messages without a mark
	deleted   int      // messages with a mark

	reading int // index of the message that RETR or TOP reads
	lines   int // lines of the body for TOP; -1: RETR
	cursor  int // next message of the running listing

	retrOctets, topOctets int64
	retrs, tops           uint32

	errors  uint16
	phase   phase
	asking  Question
	running running // the listing that AskDrained interrupts
	lang    language
	reader  line.Reader
	utf8    bool
	named   bool // the last command was a USER that was taken
	ending  ending
	updated bool // the deletions were made
	left    bool // QUIT came
	peer    Peer
	binds   bool // there is a channel binding
	early   bool // octets after STLS were seen before the handshake
}

// phase is the state of RFC 1939 section 3; inside AUTHORIZATION, the exchange of
// AUTH and the handshake after STLS. A session that has closed takes nothing more.
type phase uint8

const (
	authorization phase = 1 << iota
	transaction
	update
	exchanging
	securing
	closed
)

// ending is how the session will end.
type ending uint8

const (
	atAnswer   ending = 1 << iota // Shutdown came while a question was open
	byOperator                    // Dismiss was called
)

// Init makes s a new session. timestamp is what the greeting shows for APOP, a
// msg-id in angle brackets that no other greeting has (RFC 1939 section 7); it is
// not used unless the configuration offers APOP.
func (s *Session) Init(cfg *Config, timestamp string, peer Peer) {
	*s = Session{cfg: cfg, phase: authorization, peer: peer}
	if cfg.APOP {
		s.timestamp = timestamp
	}
}

// Greet begins the session.
func (s *Session) Greet(e *Effects) {
	e.Reply = e.ok()
	e.Reply = append(append(e.Reply, s.cfg.Hostname...), ' ')
	s.say(e, textReady)
	if s.timestamp != "" {
		e.Reply = append(append(e.Reply, ' '), s.timestamp...)
	}
	e.Reply = append(e.Reply, "\r\n"...)
}

// Feed consumes commands from in and returns how many octets they had. It stops
// at the end of the last whole line, at a question, or when it closes.
func (s *Session) Feed(in []byte, e *Effects) (n int) {
	for s.asking == AskNothing && s.phase&(closed|securing) == 0 {
		limit := pop3.MaxLine
		if s.phase == exchanging {
			limit = sasl.MaxLine
		}
		command, used, verdict := s.reader.Next(in[n:], limit)
		n += used
		switch {
		case verdict == line.More:
			return n
		case s.phase == exchanging:
			s.response(command, verdict, e)
		case verdict == line.TooLong:
			s.named = false
			s.refuse(e, pop3.NoCode, textTooLong)
		default:
			s.command(command, e)
		}
		if s.asking == AskNothing && s.phase != closed && len(e.Reply) >= s.cfg.ReplyBudget {
			s.ask(e, AskDrained)
		}
	}
	if s.asking == AskTLS && n < len(in) {
		s.early = true
	}
	return n
}

// command runs the command of a line.
func (s *Session) command(line []byte, e *Effects) {
	c, ok := pop3.Parse(line)
	named := s.named
	s.named = false
	do := commands[c.Verb]
	switch {
	case !s.offers(c.Verb):
		s.refuse(e, pop3.NoCode, textUnknown)
	case do.phases&s.phase == 0 && s.phase == authorization:
		s.refuse(e, pop3.NoCode, textLoginFirst)
	case do.phases&s.phase == 0:
		s.refuse(e, pop3.NoCode, textLoggedIn)
	case (c.Verb == pop3.USER || c.Verb == pop3.PASS) && !s.mayShowPassword(), c.Verb == pop3.APOP && s.needsTLS():
		s.refuse(e, pop3.NoCode, textNeedTLS)
	case c.Verb == pop3.PASS && !named:
		s.refuse(e, pop3.NoCode, textUserFirst)
	case !ok:
		s.refuse(e, pop3.NoCode, textSyntax)
	default:
		do.run(s, c, e)
	}
}

// offers reports whether a verb is there by configuration.
func (s *Session) offers(v pop3.Verb) bool {
	switch v {
	case pop3.Unknown:
		return false
	case pop3.APOP:
		return s.cfg.APOP
	case pop3.AUTH:
		return s.cfg.Mechanisms != 0
	case pop3.STLS:
		return s.cfg.OfferTLS
	}
	return true
}

// TimeOut ends the session of a peer that was silent for too long: no reply, no
// deletions (RFC 1939 section 3). In the UPDATE state it is not the peer that is
// waited for: the answer is, and ends the session.
func (s *Session) TimeOut(e *Effects) {
	if s.phase == update {
		return
	}
	s.asking = AskNothing
	s.close(e)
}

// Shutdown ends the session because the server ends: at once, or after what the
// open question is about. Marks delete nothing, unless QUIT was given already.
func (s *Session) Shutdown(e *Effects) {
	switch {
	case s.phase == closed:
	case s.asking != AskNothing:
		s.ending |= atAnswer
	default:
		s.end(e)
	}
}

// Dismiss has Shutdown, also as an answer, say that it is this session that ends, and not the
// server.
func (s *Session) Dismiss() { s.ending |= byOperator }

// Expire ends the session: what its peer has logged in with does not hold any more. Marks
// delete nothing. No question may be open.
func (s *Session) Expire(e *Effects) {
	if s.phase == closed {
		return
	}
	s.refuse(e, pop3.CodeAuth, textExpired)
	s.close(e)
}

// end sends the reply about the shutdown, and closes. In a handshake no reply is
// sent: it would not be TLS.
func (s *Session) end(e *Effects) {
	if s.phase == securing {
		s.close(e)
		return
	}
	e.Reply = e.err(pop3.CodeTemporary)
	if s.ending&byOperator != 0 {
		s.say(e, textDismissed)
	} else {
		s.say(e, textShutdown)
	}
	e.Reply = append(e.Reply, "\r\n"...)
	s.close(e)
}

// enter is the one place where the phase changes. Before the login the errors go
// on counting.
func (s *Session) enter(p phase) {
	s.phase = p
	if p&(authorization|exchanging|securing) == 0 {
		s.errors = 0
	}
}

func (s *Session) close(e *Effects) {
	s.enter(closed)
	s.secret = ""
	e.Close = true
}

// ask opens a question.
func (s *Session) ask(e *Effects, q Question) {
	s.asking = q
	e.Ask = q
}

// ok replies +OK with a text; its marks are replaced by the numbers.
func (s *Session) ok(e *Effects, t text, numbers ...int64) {
	e.Reply = e.ok()
	s.say(e, t, numbers...)
	e.Reply = append(e.Reply, "\r\n"...)
	if s.phase == transaction {
		s.errors = 0
	}
}

// refuse replies -ERR with a text, and closes after too many of them.
func (s *Session) refuse(e *Effects, code pop3.Code, t text, numbers ...int64) {
	e.Reply = e.err(code)
	s.say(e, t, numbers...)
	e.Reply = append(e.Reply, "\r\n"...)
	s.errors++
	if s.cfg.MaxErrors > 0 && int(s.errors) >= s.cfg.MaxErrors {
		s.close(e)
	}
}
