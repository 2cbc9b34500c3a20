package smtpclient

import "postrider/codec/smtp"

// Effects is what a call of the machine asks its caller to do, in this order: Send, Ask,
// StartTLS, Outcome, Close. The caller owns it, hands it to every call, and empties it
// (Reset) once all of it is done.
type Effects struct {
	// Send is appended to: octets for the peer, which may hold a password. The
	// caller sends them and keeps the slice.
	Send []byte
	// Ask is what the machine has not got: the message.
	Ask Question
	// StartTLS: make the TLS handshake, then call Secured or TLSFailed. Input that
	// was read and not consumed is fed first: there must be none, and the machine
	// ends the session if there is.
	StartTLS bool
	// Outcome: the transaction that Begin handed over has ended. It is borrowed
	// until the next Begin.
	Outcome *Outcome
	// Close: when Send has been sent, close the connection.
	Close bool
}

// Reset empties e and keeps its memory.
func (e *Effects) Reset() { *e = Effects{Send: e.Send[:0]} }

// Question is what the caller is asked for.
type Question uint8

// The questions. When the message has been sent, BodyDone answers; when it can't
// be read to its end, BodyFailed.
const (
	AskNothing Question = iota
	// AskBody: send the message in wire form: lines with CRLF, another dot before
	// lines that begin with one, and without the dot at the end, which the machine sends.
	AskBody
)

// Wait is what the client waits for. Each kind has a time limit of its own
// (RFC 5321 section 4.5.3.2).
type Wait uint8

// The waits, with the least that the RFC gives them.
const (
	WaitNothing   Wait = iota // the session is idle, or closed
	WaitGreeting              // 5 minutes
	WaitCommand               // 5 minutes
	WaitDataInit              // 2 minutes
	WaitDataBlock             // 3 minutes, for each piece of the message
	WaitDataDone              // 10 minutes
)

// Config is what all sessions of a kind have in common. It must not change.
type Config struct {
	Helo string // our name, or an address literal (RFC 5321 section 4.1.4)
	// Auth has the credentials to log in with; nil: no login. Without success
	// no mail is sent.
	Auth *Credentials
	// Choose is called instead of using Auth, with the names of the mechanisms that
	// the peer offers; nil: Auth counts. A nil exchange: no login. An error
	// ends the session.
	Choose func(offered []string) (*Exchange, error)
	// TLS: whether the session is to go under TLS.
	TLS TLS
	// MaxReply bounds the octets of one reply; 0: 64 KiB.
	MaxReply int
}

func (c *Config) maxReply() int {
	if c.MaxReply > 0 {
		return c.MaxReply
	}
	return 64 << 10
}

// Credentials are sent by AUTH (RFC 4954).
type Credentials struct{ User, Password string }

// Exchange is our side of one SASL exchange (RFC 4422) that the caller makes. The
// functions are called while the machine is fed, and do no I/O.
type Exchange struct {
	Mechanism string
	Initial   []byte // the first response; empty: the peer begins
	// Respond answers a challenge. An error ends the session.
	Respond func(challenge []byte) ([]byte, error)
	// Proven reports whether success may be believed: some mechanisms want the peer
	// to show first that it knows the password too.
	Proven func() bool
}

// Transaction is a message to be sent, and its recipients. It is borrowed from Begin
// until its Outcome.
type Transaction struct {
	ReversePath string // as text without brackets; "": the null path
	// ASCIIReversePath is the same path with its domain in A-labels, for a host
	// without SMTPUTF8; "": there is none, or it is the same.
	ASCIIReversePath string
	// Size is the octets of the message in plain form (RFC 1870); 0: not known.
	Size int64
	// Body: a message that is called binary consists of lines all the same, and goes as
	// 8BITMIME. Only entries of a queue that is older than package binarymime are called
	// so.
	Body     smtp.Body
	SMTPUTF8 bool // the message needs it, for its header, whatever the addresses are
	Ret      smtp.Ret
	EnvID    string // xtext; "": not given
	// Recipients has one at least.
	Recipients []Recipient
}

// Recipient is one forward-path of a transaction.
type Recipient struct {
	ForwardPath string // as text without brackets
	ASCIIPath   string // as ASCIIReversePath
	ORcpt       string // "addr-type;xtext"; "": not given
	Notify      smtp.Notify
}

// Outcome is the outcome of a transaction.
type Outcome struct {
	// Results has one for each recipient, in the order of the transaction.
	Results []Result
	// DSN: the peer was given NOTIFY, ORCPT, RET and ENVID, and is responsible for them.
	// Without it, a sender that asked for a notification of success gets "relayed" (RFC 3461
	// section 5.2.2).
	DSN bool
	// Stale: the session had been used before, and broke at the first command of
	// this transaction. Peers end idle sessions: a new one is worth a try at once.
	Stale bool
	// Doubt: the whole message was sent, and no reply came that could be
	// understood. The peer may have it all the same.
	Doubt bool
}

// Result is the outcome for one recipient.
type Result struct {
	Code    int    // the reply's; 0: there was no such reply, Reply is our own text
	Status  string // enhanced code (RFC 3463), of the class of the Verdict: "5.1.1"
	Reply   string // one line, with the codes: "550 5.1.1 No such user"
	Verb    string // what the reply is about: "RCPT TO", "end of DATA"; "": nothing was sent
	Verdict Verdict
	Scope   Scope
	// Again: too many recipients for one transaction. This one is to come in
	// another, at once: others of the same transaction were not refused for that.
	Again bool
}

// Verdict is what a result means to the message.
type Verdict uint8

// The verdicts. Undecided is never in an Outcome.
const (
	Undecided Verdict = iota
	Delivered         // the peer has taken the responsibility
	Temporary         // to be tried again
	Permanent         // never
)

// Scope is how far a failure reaches.
type Scope uint8

// The scopes.
const (
	ScopeRecipient Scope = iota // this recipient
	ScopeMessage                // this message: all its recipients
	ScopeHost                   // this host: any message would fare the same, another host is worth a try
)
