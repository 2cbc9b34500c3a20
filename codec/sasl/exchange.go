package sasl

import (
	"bytes"
	"unicode/utf8"
)

// MaxName is the most octets of a user name.
const MaxName = 512

// Step is what comes next in an exchange.
type Step uint8

// The steps: see the package.
const (
	Malformed Step = iota
	Challenge
	Credentials
	Judge
)

// Need is what a Claim is judged by.
type Need uint8

// The needs.
const (
	NeedNothing Need = iota
	// NeedVerifier: the Step was Credentials.
	NeedVerifier
	// NeedPassword: does Password fit User?
	NeedPassword
	// NeedDigest: does Digest fit Nonce and the secret of User? See DigestFits.
	NeedDigest
	// NeedConsent: Proven reports whether the peer has shown that it knows the
	// password of User. A peer that has not is refused in any case; the question is
	// asked so that it is refused in the same way as after a wrong password. So is one
	// whose Verifier User no longer has: the password may change between the
	// two steps.
	NeedConsent
)

// Claim is what a peer claims about itself.
type Claim struct {
	Need      Need
	Mechanism Mechanism
	User      string
	// Authzid is the identity to act as; "": User itself. The judge of the claim has to
	// refuse an identity that User may not act as.
	Authzid  string
	Password []byte // for NeedPassword; borrowed until the exchange ends
	Nonce    string // for NeedDigest: the challenge
	Digest   string // for NeedDigest: 32 hexadecimal digits
	Proven   bool   // for NeedConsent
	// Verifier is what Proven was computed with: if the password has changed since, User
	// has another one.
	Verifier Verifier
}

// Context is what an exchange takes from around it.
type Context struct {
	Hostname string
	// Nonce returns fresh random text, printable and without commas, of at least
	// 18 octets of entropy.
	Nonce func() string
	// Binding returns the data of a channel binding by its type, "tls-exporter" or
	// "tls-server-end-point"; nil when there is none. A nil function: no TLS.
	Binding func(kind string) []byte
	// OfferedPlus: the peer was offered SCRAM-SHA-256-PLUS.
	OfferedPlus bool
}

// Exchange is one authentication. The zero Exchange is ready for Start.
type Exchange struct {
	ctx       Context
	claim     Claim
	challenge []byte
	expect    func(*Exchange, []byte) Step
	scram     scram
}

// Start begins an exchange with mechanism m. initial is the decoded initial
// response; has reports whether there was one.
func (x *Exchange) Start(ctx Context, m Mechanism, initial []byte, has bool) Step {
	*x = Exchange{ctx: ctx, claim: Claim{Mechanism: m}}
	switch m {
	case Plain:
		x.expect = (*Exchange).plain
	case Login:
		x.expect = (*Exchange).loginName
		if !has {
			return x.ask("Username:")
		}
	case CramMD5:
		// The server speaks first: an initial response is refused (RFC 4954 section 4).
		if has {
			return Malformed
		}
		x.claim.Nonce = "<" + ctx.Nonce() + "@" + ctx.Hostname + ">"
		x.expect = (*Exchange).cramMD5
		return x.ask(x.claim.Nonce)
	case ScramSHA256, ScramSHA256Plus:
		x.expect = (*Exchange).clientFirst
	default:
		return Malformed
	}
	if !has {
		return x.ask("")
	}
	return x.Next(initial)
}

// Next takes a decoded response.
func (x *Exchange) Next(response []byte) Step {
	expect := x.expect
	x.expect = nil
	s := Malformed
	if expect != nil {
		s = expect(x, response)
	}
	if s == Malformed {
		x.Forget()
	}
	return s
}

// Challenge is what is to be sent, not yet in base64. It is borrowed until the
// next call.
func (x *Exchange) Challenge() []byte { return x.challenge }

// Claim is what is asked about.
func (x *Exchange) Claim() Claim { return x.claim }

// Forget overwrites the password. The exchange is over.
func (x *Exchange) Forget() {
	clear(x.claim.Password)
	*x = Exchange{}
}

func (x *Exchange) ask(challenge string) Step {
	x.challenge = append(x.challenge[:0], challenge...)
	return Challenge
}

// plain is [authzid] NUL authcid NUL passwd (RFC 4616 section 2).
func (x *Exchange) plain(response []byte) Step {
	authzid, rest, first := bytes.Cut(response, []byte{0})
	user, word, second := bytes.Cut(rest, []byte{0})
	if !first || !second || len(authzid) > 0 && !isName(authzid) || !isName(user) {
		return Malformed
	}
	x.claim.User, x.claim.Authzid = string(user), string(authzid)
	return x.password(word)
}

// loginName is the first response of LOGIN.
func (x *Exchange) loginName(response []byte) Step {
	if !isName(response) {
		return Malformed
	}
	x.claim.User = string(response)
	x.expect = (*Exchange).password
	return x.ask("Password:")
}

func (x *Exchange) password(word []byte) Step {
	if len(word) == 0 || bytes.IndexByte(word, 0) >= 0 {
		return Malformed
	}
	x.claim.Need, x.claim.Password = NeedPassword, bytes.Clone(word)
	return Judge
}

// isName reports whether b can be a user name.
func isName(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7F {
			return false
		}
	}
	return len(b) > 0 && len(b) <= MaxName && utf8.Valid(b)
}
