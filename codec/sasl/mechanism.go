package sasl

import (
	"iter"
	"strings"
)

// Mechanism is one way to authenticate.
type Mechanism uint8

// The mechanisms.
const (
	None Mechanism = iota
	ScramSHA256Plus
	ScramSHA256
	CramMD5
	Plain
	Login
	mechanisms
)

var names = [mechanisms]string{
	ScramSHA256Plus: "SCRAM-SHA-256-PLUS", ScramSHA256: "SCRAM-SHA-256",
	CramMD5: "CRAM-MD5", Plain: "PLAIN", Login: "LOGIN",
}

// String returns the name as it is registered; of None, nothing.
func (m Mechanism) String() string {
	if m >= mechanisms {
		return ""
	}
	return names[m]
}

// ParseMechanism finds a mechanism by its name in any case; None when it is not
// one of ours.
func ParseMechanism(name []byte) Mechanism {
	for m := None + 1; m < mechanisms; m++ {
		if strings.EqualFold(names[m], string(name)) {
			return m
		}
	}
	return None
}

// InTheClear reports whether the mechanism sends the password itself: it needs TLS.
func (m Mechanism) InTheClear() bool { return m == Plain || m == Login }

// Set is a set of mechanisms.
type Set uint8

// SetOf makes a set.
func SetOf(ms ...Mechanism) (s Set) {
	for _, m := range ms {
		s |= 1 << m
	}
	return s &^ (1 << None)
}

// Has reports whether m is in the set.
func (s Set) Has(m Mechanism) bool { return m != None && s>>m&1 != 0 }

// Without returns the mechanisms of s that are not in other.
func (s Set) Without(other Set) Set { return s &^ other }

// All yields the mechanisms, the strongest first: clients tend to take the first
// one that they know.
func (s Set) All() iter.Seq[Mechanism] {
	return func(yield func(Mechanism) bool) {
		for m := None + 1; m < mechanisms; m++ {
			if s.Has(m) && !yield(m) {
				return
			}
		}
	}
}

// AppendTo appends " NAME" for each mechanism, in the order of All.
func (s Set) AppendTo(dst []byte) []byte {
	for m := range s.All() {
		dst = append(append(dst, ' '), names[m]...)
	}
	return dst
}

// Usable returns the mechanisms that a peer may use: PLAIN and LOGIN, which send the
// password, only if clear is set, -PLUS only if binds is set; see Binds.
func (s Set) Usable(clear, binds bool) Set {
	if !clear {
		s = s.Without(SetOf(Plain, Login))
	}
	if !binds {
		s = s.Without(SetOf(ScramSHA256Plus))
	}
	return s
}

// Binds reports whether there is a channel binding: what Context.Binding would bring.
func Binds(binding func(kind string) []byte) bool {
	return binding != nil && (binding(TLSExporter) != nil || binding(TLSServerEndPoint) != nil)
}
