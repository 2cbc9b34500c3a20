package smtpd

import (
	"postrider/codec/sasl"
	"postrider/codec/smtp"
	"postrider/storage"
)

// Effects is what a call of the machine asks its caller to do, in this order: Drop, Forget, Body,
// Reply, Ask, Close, StartTLS. The caller owns it, hands it to every call, and empties it
// (Reset) once all of it is done.
type Effects struct {
	// Reply is appended to: whole reply lines for the peer. The caller sends them
	// and keeps the slice.
	Reply []byte
	// Body is a run of message octets in wire form, to be appended to the draft
	// before the next call. It is borrowed: from the input of this call, or static.
	Body []byte
	// Drop: the draft begun with Body is void (RSET, a refused message, QUIT).
	Drop bool
	// Forget: the transaction and its recipients are over, however they ended. What the
	// caller keeps for them may go.
	Forget bool
	// Ask is the one open question, or AskNothing. While it is open Feed
	// consumes nothing; Answer closes it.
	Ask Question
	// Close: when Reply has been sent, close the connection.
	Close bool
	// StartTLS: when Reply has been sent, begin the handshake of TLS as its server.
	// Feed consumes nothing until Session.Secured is called. Octets that
	// the machine has not seen and that were there before the handshake must not be
	// read as part of it: a caller that finds some answers AskTLS with Failed.
	StartTLS bool
	// Refused holds what was refused in this call, for the log: spans of Reply.
	Refused []Refusal
	paths   []byte // memory of the paths of Refused
	// Said counts the replies of this call, Ended is why it has ended the session with a 421.
	Said  Said
	Ended smtp.Reason
}

// Reset empties e and keeps its memory.
func (e *Effects) Reset() {
	*e = Effects{Reply: e.Reply[:0], Refused: e.Refused[:0], paths: e.paths[:0]}
}

// Said is how many replies there were of the 2yz, 3yz, 4yz and 5yz kind.
type Said [4]uint16

// count counts a reply.
func (e *Effects) count(r *smtp.Reply) { e.Said[r.Code/100-2]++ }

// begin counts a reply, and begins its last line.
func (e *Effects) begin(r *smtp.Reply) []byte {
	e.count(r)
	return r.Begin(e.Reply)
}

// Refusal is a reply of the 4yz or 5yz kind to a command of the peer.
type Refusal struct {
	Verb     smtp.Verb
	Reason   smtp.Reason
	From, To int // Effects.Reply[From:To] is the reply, all its lines with CRLF
	// Reverse and Forward are the paths that it is about, without brackets: nil where none
	// is known, and empty for the null path. They are good until Reset.
	Reverse, Forward []byte
}

// Question is a question of the machine to its caller.
type Question uint8

// The questions. What belongs to one is read from the Session that asks:
// ReversePath, ForwardPath, Argument and Transaction.
const (
	AskNothing Question = iota
	// AskTransaction: may a transaction begin? Session.Transaction has the
	// reverse-path and the parameters of MAIL. Answers: Yes, Full, Busy, Failed, Refused.
	AskTransaction
	// AskRecipient: is Session.ForwardPath taken? Answers: Yes, Here, Unknown, AliasLoop,
	// NotRelayed, MailboxFull, MailboxOver, MailboxOff, TooManyNow, Busy (no memory for another one), Failed,
	// Refused. After Yes and Here its ORcpt is gone: a caller that needs it copies it
	// first.
	AskRecipient
	// AskStored: is the message durable? Its last octet was in a Body before, or is
	// in that of the same Effects; an empty message had none. Whatever the answer,
	// the draft is the caller's: Drop comes if it is not Yes.
	// Answers: Yes with the Receipt, Full, Busy, MailboxFull, MailboxOver, Failed.
	AskStored
	// AskVerify: which user is Session.Argument, the argument of VRFY? Answers: Yes with
	// Names (one), Unknown, Ambiguous with Names, Unsaid.
	AskVerify
	// AskExpand: which addresses are on the list Session.Argument, the argument of EXPN?
	// Answers: Yes with Names, Unknown, Unsaid.
	AskExpand
	// AskAuth: is Session.Claim true? For sasl.NeedVerifier, Yes with the Verifier
	// of the user, or with a sasl.Decoy; a refusal would show that the user does not exist. For
	// the rest, Yes with Account when the claim is true and its Authzid may be acted
	// as, or Denied. Answers besides: TooManyNow (too many failures came from that
	// network), Busy, Failed.
	AskAuth
	// AskTLS: can the handshake of TLS begin? Answers: Yes, Busy, Refused, and Failed when
	// octets after STARTTLS are unread: the session ends.
	AskTLS
	// AskClient: may the peer speak for Session.Client from now on (XCLIENT)? Yes
	// makes that the Peer; the caller takes the address over. Answers: Yes, Failed.
	AskClient
)

// Verdict is the outcome in an Answer.
type Verdict uint8

// The verdicts. Each maps to one reply per question, in one table of this package.
const (
	Yes         Verdict = iota + 1
	Here                // Yes for a recipient in a domain of ours: the reply names it by its local part
	Unknown             // 550 5.1.1: no such user here
	AliasLoop           // 550 5.4.6: an alias that leads in a circle, or to too many addresses
	NotRelayed          // 554 5.7.1: not our domain
	MailboxFull         // 452 4.2.2
	MailboxOver         // 552 5.2.2: the same where it is to be final
	MailboxOff          // 550 5.2.1: the account takes no mail
	TooManyNow          // 452 4.5.3: this recipient in a transaction of its own; 454 4.7.0: too many failed logins
	Full                // 452 4.3.1: the disk is full
	Busy                // 452 4.3.1: over budget, try again later
	Failed              // 451 4.3.0: a local failure, try again later
	Ambiguous           // 553 5.1.4
	Unsaid              // 252 2.5.2: not told to this peer; mail will be tried
	Denied              // 535 5.7.8: user and password don't match, whichever is wrong
	Refused             // by policy: Answer.Reply; after a 421 the connection closes
	Shutdown            // 421 4.3.2 and the connection closes
)

// Answer answers the open question.
type Answer struct {
	Verdict Verdict
	// Receipt proves AskStored's Yes: without it there is no 250.
	Receipt storage.Receipt
	// Names answers AskVerify and AskExpand: mailboxes as they go on the wire,
	// for example "John Smith <jsmith@localhost>" or "<jsmith@localhost>".
	Names []string
	// Reply is the reply of the verdict Refused, to AskTransaction, AskRecipient, AskStored and
	// AskClient.
	Reply *smtp.Reply
	// Account and Verifier answer AskAuth.
	Account  string
	Verifier sasl.Verifier
}

// BareLF is the policy for line ends inside a message that are not CRLF.
type BareLF uint8

const (
	// Reject refuses the message at its true end with 550 5.5.2.
	Reject BareLF = iota
	// Normalize turns a bare LF into CRLF; a bare CR stays refused. Only CRLF.CRLF
	// ends the message all the same.
	Normalize
)

// Config is the part of the configuration that the machine needs. It is shared
// by all sessions of a listener and must not change.
type Config struct {
	Hostname      string // in the greeting and the replies
	MaxSize       int64  // octets of a message, announced by SIZE; 0: no limit
	MaxRecipients int    // a transaction; RFC 5321 section 4.5.3.1.8: at least 100
	MaxMessages   int    // a session, then 421; 0: no limit (RFC 9422 MAILMAX)
	MaxErrors     int    // refused commands of a session, then 421
	MaxHops       int    // Received fields of a message; RFC 5321 section 6.3: at least 100
	BareLF        BareLF
	OfferTLS      bool // STARTTLS is there
	Auth          Auth
}

// Auth is how a peer may log in. With the zero Auth it may not.
type Auth struct {
	Mechanisms sasl.Set
	Plaintext  bool // passwords are taken in the clear from peers that are not on loopback
	Required   bool // before MAIL, VRFY and EXPN
	TLSFirst   bool // no login without TLS, also from loopback
	// Nonce returns fresh random text for challenges: see sasl.Context.
	Nonce func() string
}

// Peer is what is known of the other end.
type Peer struct {
	Addr     string // IP address without port, as in a log line
	Name     string // reverse DNS, or "unknown"
	Trusted  bool   // on a network that may ask VRFY and EXPN
	Proxy    bool   // may use XCLIENT
	Loopback bool   // on this host: no network between that could be read
	Secure   bool   // over TLS; see Session.Secured
}
