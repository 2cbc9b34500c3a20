package sasl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
)

// maxNonce is the most octets of a client's nonce.
const maxNonce = 256

// The channel bindings, named as in a GS2 header and as Context.Binding is asked
// for them.
const (
	TLSExporter       = "tls-exporter"         // RFC 9266
	TLSServerEndPoint = "tls-server-end-point" // RFC 5929 section 4
)

// scram is what is kept between the messages of RFC 5802 section 7.
type scram struct {
	verifier  Verifier
	gs2       string // the header, with the commas
	binding   []byte // the data that must come after it in "c="
	bound     bool   // the header is one that this server may go along with
	firstBare string // client-first-message-bare
	first     string // server-first-message
	nonce     string // the client's, then both
}

// clientFirst is [gs2-header] n=user,r=nonce.
func (x *Exchange) clientFirst(response []byte) Step {
	s := &x.scram
	text := string(response)
	flag, rest, ok1 := strings.Cut(text, ",")
	authzid, bare, ok2 := strings.Cut(rest, ",")
	if !ok1 || !ok2 || !isPrintable(response) {
		return Malformed
	}
	s.gs2, s.firstBare = text[:len(text)-len(bare)], bare
	if !x.bind(flag) {
		return Malformed
	}
	if authzid != "" {
		if x.claim.Authzid, ok1 = saslName(authzid, "a="); !ok1 {
			return Malformed
		}
	}
	// A mandatory extension would come first, as "m=" (RFC 5802 section 5.1): we
	// know none, and n= is not there then.
	user, rest, _ := strings.Cut(bare, ",")
	nonce, _, _ := strings.Cut(rest, ",")
	if x.claim.User, ok1 = saslName(user, "n="); !ok1 {
		return Malformed
	}
	if s.nonce, ok1 = strings.CutPrefix(nonce, "r="); !ok1 || s.nonce == "" || len(s.nonce) > maxNonce || !isNonce(s.nonce) {
		return Malformed
	}
	x.claim.Need = NeedVerifier
	return Credentials
}

// bind reads the flag of the GS2 header (RFC 5802 section 6). False: it doesn't
// go with the mechanism. A binding that is missing, or was changed on the way, makes a
// proof that doesn't fit, not an error: an attacker on the way learns no more than from a
// wrong password.
func (x *Exchange) bind(flag string) bool {
	s := &x.scram
	plus := x.claim.Mechanism == ScramSHA256Plus
	kind, hasKind := strings.CutPrefix(flag, "p=")
	switch {
	case hasKind != plus:
		return false
	case plus:
		if kind == TLSExporter || kind == TLSServerEndPoint {
			s.binding = x.binding(kind)
		}
		s.bound = s.binding != nil
		return true
	case flag == "y":
		s.bound = !x.ctx.OfferedPlus
		return true
	}
	s.bound = true
	return flag == "n"
}

func (x *Exchange) binding(kind string) []byte {
	if x.ctx.Binding == nil {
		return nil
	}
	return x.ctx.Binding(kind)
}

// Use answers Credentials: it returns Challenge, with the server-first-message.
func (x *Exchange) Use(v Verifier) Step {
	if x.claim.Need != NeedVerifier {
		return Malformed
	}
	s := &x.scram
	s.verifier = v
	s.nonce += x.ctx.Nonce()
	s.first = "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(v.Salt) + ",i=" + strconv.Itoa(v.Iterations)
	x.claim.Need = NeedNothing
	x.expect = (*Exchange).clientFinal
	return x.ask(s.first)
}

// clientFinal is c=binding,r=nonce,p=proof. A peer that knows the password gets
// our signature, and acknowledges it with an empty response.
func (x *Exchange) clientFinal(response []byte) Step {
	s := &x.scram
	text := string(response)
	i := strings.LastIndex(text, ",p=")
	if i < 0 || !isPrintable(response) {
		return Malformed
	}
	without := text[:i]
	proof, err := base64.StdEncoding.Strict().DecodeString(text[i+len(",p="):])
	channel, rest, _ := strings.Cut(without, ",")
	nonce, _, _ := strings.Cut(rest, ",")
	channel, hasChannel := strings.CutPrefix(channel, "c=")
	nonce, hasNonce := strings.CutPrefix(nonce, "r=")
	if err != nil || len(proof) != sha256.Size || !hasChannel || !hasNonce {
		return Malformed
	}
	message := s.firstBare + "," + s.first + "," + without
	fits := proofFits(&s.verifier, proof, message)
	header := base64.StdEncoding.EncodeToString(append([]byte(s.gs2), s.binding...))
	if !fits || !s.bound || nonce != s.nonce || channel != header {
		x.claim.Need, x.claim.Verifier = NeedConsent, s.verifier
		return Judge
	}
	x.expect = (*Exchange).seen
	return x.ask("v=" + base64.StdEncoding.EncodeToString(mac(s.verifier.ServerKey[:], message)))
}

// proofFits reports whether the proof belongs to the key that the verifier's
// StoredKey is the hash of.
func proofFits(v *Verifier, proof []byte, message string) bool {
	key := mac(v.StoredKey[:], message)
	subtle.XORBytes(key, key, proof)
	sum := sha256.Sum256(key)
	return subtle.ConstantTimeCompare(sum[:], v.StoredKey[:]) == 1
}

// seen is the empty response to our signature.
func (x *Exchange) seen(response []byte) Step {
	if len(response) > 0 {
		return Malformed
	}
	x.claim.Need, x.claim.Proven, x.claim.Verifier = NeedConsent, true, x.scram.verifier
	return Judge
}

// saslName reads a name after its attribute: "=2C" and "=3D" mean comma and
// equals sign, which may not occur unencoded.
func saslName(text, attribute string) (string, bool) {
	text, ok := strings.CutPrefix(text, attribute)
	if !ok || strings.Count(text, "=") != strings.Count(text, "=2C")+strings.Count(text, "=3D") {
		return "", false
	}
	name := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(text)
	return name, isName([]byte(name))
}

// isPrintable reports whether b has no NUL and no control characters, as all
// messages of SCRAM.
func isPrintable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7F {
			return false
		}
	}
	return true
}

// isNonce reports whether s is printable ASCII without commas (RFC 5802 section 7).
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F || s[i] == ',' {
			return false
		}
	}
	return true
}
