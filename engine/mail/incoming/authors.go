package incoming

import (
	"fmt"

	"postrider/codec/message"
	"postrider/codec/smtp"
)

// An account writes under its own addresses: its reverse-path is looked at by MAIL, the
// From and Sender fields here, when the header is there. All addresses of From have to be
// the account's, or a message could show a colleague as its author, with the signature of
// the domain under it. Sender is as visible as From in many mail readers.
//
// Resent-From and its like say who sends on what another has written; they are not looked
// at, and From counts all the same. A program of relay.networks has no account: its From is
// believed, and it is signed under the domain of From if that is ours. So is mail of local
// users through sendmail (Entrance.Submit). The web client makes the From field of the
// sender that is looked at.

const (
	// maxAuthors is how many addresses are looked at, each by a few lookups in memory.
	maxAuthors = 50
	// maxAuthorField is how long a From or Sender field may be.
	maxAuthorField = 8 << 10
)

// vouches says whether the account may write what From and Sender of a header say, and
// else what is said to the message at its end. With submission.foreign_from = "unsigned"
// nothing is said, and the message is not signed.
func (m *Message) vouches(header []byte) (ok bool, refusal *smtp.Reply) {
	if m.header.account == 0 || m.in.AnySender {
		return true, nil
	}
	r := m.foreignAuthor(header)
	if r != nil && m.in.UnsignedForeign {
		return false, nil
	}
	return r == nil, r
}

// foreignAuthor says what is wrong about the authors of a message; nil: nothing is.
func (m *Message) foreignAuthor(header []byte) *smtp.Reply {
	froms := 0
	for text := header; ; {
		f, rest, ok := message.Next(text)
		if !ok {
			return nil
		}
		text = rest
		name := "Sender"
		if f.Is("From") {
			name = "From"
			froms++
		} else if !f.Is(name) {
			continue
		}
		if froms > 1 {
			return &smtp.Reply{Code: 554, Enhanced: "5.6.0", Text: "The message has more than one From field (RFC 5322 section 3.6)"}
		}
		if r := m.foreignAddress(name, f); r != nil {
			return r
		}
	}
}

// foreignAddress says what is wrong about the addresses of a From or Sender field.
func (m *Message) foreignAddress(name string, f message.Field) *smtp.Reply {
	var claims []string
	if len(f.Value) <= maxAuthorField {
		claims = message.Claims(string(f.Unfolded()), maxAuthors)
	}
	switch {
	case len(f.Value) > maxAuthorField, len(claims) > maxAuthors:
		return notOwned("the " + name + " field is too long to be looked at")
	case len(claims) == 0 && name == "From":
		return notOwned("the From field has no address that can be read")
	}
	for _, a := range claims {
		if !m.owns(a) {
			return notOwned(fmt.Sprintf("<%s>: %s address rejected: not owned by user %s", a, name, m.header.user))
		}
	}
	return nil
}

func notOwned(text string) *smtp.Reply { return &smtp.Reply{Code: 553, Enhanced: "5.7.1", Text: text} }

// owns says whether an address is the account's; most times it is its name.
func (m *Message) owns(address string) bool {
	return address == m.header.user || m.in.Router.Owns(m.header.account, address)
}
