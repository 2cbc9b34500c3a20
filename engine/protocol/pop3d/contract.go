package pop3d

import (
	"postrider/codec/pop3"
	"postrider/codec/sasl"
	"postrider/storage"
)

// Effects is what a call of the machine asks its caller to do. The caller owns it,
// hands it to every call, and empties it (Reset) once all of it is done.
type Effects struct {
	// Reply is appended to: whole lines for the peer.
	Reply []byte
	// Ask is the one open question, or AskNothing. While it is open Feed
	// consumes nothing; Answer closes it.
	Ask Question
	// Close: when Reply has been sent, close the connection. The caller releases
	// the maildrop.
	Close bool
	// StartTLS: when Reply has been sent, begin the handshake of TLS as its server.
	// Feed consumes nothing until Session.Secured is called. Octets that
	// the machine has not seen and that were there before the handshake must not be
	// read as part of it: a caller that finds some answers AskTLS with Gone.
	StartTLS bool
	// OKs counts the replies +OK of this call. Errs counts its replies -ERR, each at the index
	// that its code has in pop3.Codes.
	OKs  uint16
	Errs [len(pop3.Codes)]uint16
}

// ok begins a reply +OK.
func (e *Effects) ok() []byte {
	e.OKs++
	return pop3.AppendOK(e.Reply)
}

// err begins a reply -ERR.
func (e *Effects) err(code pop3.Code) []byte {
	for i := range pop3.Codes {
		if pop3.Codes[i] == code {
			e.Errs[i]++
		}
	}
	return pop3.AppendErr(e.Reply, code)
}

// Reset empties e and keeps its memory.
func (e *Effects) Reset() { *e = Effects{Reply: e.Reply[:0]} }

// Question is what the machine can't know by itself.
type Question uint8

// The questions. What belongs to one is read from the Session that asks.
const (
	AskNothing Question = iota
	// AskLogin: Session.Claim is that of USER and PASS; open the maildrop.
	// Answers: Yes with Listing, Denied, InUse, TooManyFailed, Temporary.
	AskLogin
	// AskAPOP: Session.User and Session.Digest (RFC 1939 section 7; the digest is
	// over Session.Timestamp and the secret). Answers as AskLogin.
	AskAPOP
	// AskRead: open message Session.Reading for RETR or TOP. Answers: Yes with
	// Octets (then the caller sends the message in wire form, or for TOP its
	// header, the empty line and Session.Lines lines of the body, and closes the
	// question that follows, AskSent), Gone, Temporary.
	AskRead
	// AskSent: the caller sends what AskRead opened; answer Yes when its last
	// octet is handed to the connection, with its number in Octets for the log.
	// The terminator comes from the machine.
	// A message that can't be sent to its end closes the connection instead.
	AskSent
	// AskUpdate: delete the messages that Session.Deleted lists, in one step
	// (the UPDATE state). Answers: Yes, Temporary.
	AskUpdate
	// AskDrained: there is more output, a long listing or the replies to pipelined
	// commands, when the connection has sent what it has. Answer Yes then.
	AskDrained
	// AskAuth: what of Session.Claim? For sasl.NeedVerifier, Yes with the Verifier
	// of the user, or with a sasl.Decoy; a refusal would show that the user does not exist. For
	// the rest answers as AskLogin, and Denied when the claim's Authzid may not be
	// acted as.
	AskAuth
	// AskTLS: can the handshake of TLS begin? Answers: Yes, Temporary, and Gone when
	// octets after STLS are unread: the session ends.
	AskTLS
)

// Verdict is the heart of an Answer.
type Verdict uint8

// The verdicts.
const (
	Yes           Verdict = iota + 1
	Denied                // -ERR [AUTH]: user and password don't match, whichever is wrong
	InUse                 // -ERR [IN-USE]: another session has the maildrop
	Temporary             // -ERR [SYS/TEMP]
	Gone                  // -ERR [SYS/PERM]: the message can't be read
	TooSoon               // -ERR [LOGIN-DELAY]: logged in less than Config.LoginDelay ago
	TooManyFailed         // -ERR [SYS/TEMP]: too many failed logins from that network
	Shutdown              // -ERR [SYS/TEMP] shutting down, and the connection closes
)

// Answer answers the open question.
type Answer struct {
	Verdict Verdict
	Listing *storage.Listing // answers AskLogin: the machine keeps and reads it
	Expire  int              // answers AskLogin: how many days the user's mail stays; 0: for ever
	Octets  int64            // answers AskRead: what RETR announces; AskSent: what was sent

	Verifier sasl.Verifier // answers AskAuth
}

// Config is the part of the configuration that the machine needs. It is shared
// by all sessions of a listener and must not change.
type Config struct {
	Hostname   string
	Version    string // for CAPA IMPLEMENTATION
	APOP       bool   // offer APOP: the greeting has a timestamp
	LoginDelay int    // seconds between logins, announced by CAPA; 0: none
	// Expire returns how many days mail stays, for the user with the least, and whether it is
	// not the same for all; 0: for ever. nil: it is.
	Expire      func() (days int, differs bool)
	MaxErrors   int // -ERR replies in a row, then the session is closed; 0: no limit
	ReplyBudget int // octets of replies between two AskDrained, about

	OfferTLS   bool     // STLS is there
	Mechanisms sasl.Set // offered by AUTH; none: AUTH is not offered
	Plaintext  bool     // passwords are taken in the clear from peers that are not on loopback
	TLSFirst   bool     // no login without TLS, also from loopback
	// Nonce returns fresh random text for challenges: see sasl.Context.
	Nonce func() string
}

// Peer is what is known of the other end.
type Peer struct {
	Loopback bool // on this host: no network between that could be read
	Secure   bool // over TLS; see Session.Secured
}
