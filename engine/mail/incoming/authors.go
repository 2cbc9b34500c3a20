package incoming

import (
	"fmt"

	"postrider/codec/message"
	"postrider/codec/smtp"
)

// An account may write under its own addresses only. MAIL checks the reverse-path; this file
// checks the From and Sender fields, when the header has come. The account must own all
// addresses in From. Else a message could name a colleague as its author, with a signature
// by the domain. Sender is checked too, because many mail readers show it like From.
//
// The Resent fields are not checked: they name the user that sends a message on, and From
// counts all the same. A program in relay.networks has no account: its From is trusted, and
// signed if its domain has a key. The same holds for local users' mail through sendmail
// (Entrance.Submit). The web client has checked the sender that it puts into From.

const (
	// maxAuthors is how many addresses in a field are checked, each by a few lookups in
	// memory.
	maxAuthors = 50
	// maxAuthorField is how long a From or Sender field may be.
	maxAuthorField = 8 << 10
)

// mayWrite reports whether the account may use the From and Sender fields of a header, and
// returns the reply that refuses the message if not. With submission.foreign_from =
// "unsigned" the message is not refused, and is not signed.
func (m *Message) mayWrite(header []byte) (ok bool, refusal *smtp.Reply) {
	if m.header.account == 0 || m.in.AnySender {
		return true, nil
	}
	r := m.foreignAuthor(header)
	if r != nil && m.in.UnsignedForeign {
		return false, nil
	}
	return r == nil, r
}

// foreignAuthor returns the refusal for a header with foreign authors, or nil.
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

// foreignAddress returns the refusal for a From or Sender field with foreign addresses, or
// nil.
func (m *Message) foreignAddress(name string, f message.Field) *smtp.Reply {
	var claims []string
	if len(f.Value) <= maxAuthorField {
		claims = message.Claims(string(f.Unfolded()), maxAuthors)
	}
	switch {
	case len(f.Value) > maxAuthorField, len(claims) > maxAuthors:
		return notOwned("the " + name + " field is too long to be checked")
	case len(claims) == 0 && name == "From":
		return notOwned("the From field has no valid address")
	}
	for _, a := range claims {
		if !m.owns(a) {
			return notOwned(fmt.Sprintf("<%s>: %s address rejected: not owned by user %s", a, name, m.header.user))
		}
	}
	return nil
}

func notOwned(text string) *smtp.Reply {
	return &smtp.Reply{Code: 553, Enhanced: "5.7.1", Text: text, Reason: smtp.SenderNotOwned}
}

// owns reports whether the account owns an address. Most times the address is its name.
func (m *Message) owns(address string) bool {
	return address == m.header.user || m.in.Router.Owns(m.header.account, address)
}
