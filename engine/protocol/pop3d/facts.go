package pop3d

import "strconv"

// User is the name that USER or APOP gave, of the open login or the session.
func (s *Session) User() string { return s.user }

// Digest is what APOP gave, 32 hexadecimal digits, while AskAPOP is open.
func (s *Session) Digest() string { return s.secret }

// Timestamp is what the greeting showed; empty when APOP is not offered.
func (s *Session) Timestamp() string { return s.timestamp }

// Reading is the message that AskRead and AskSent are about, counted from 0 as
// the Listing counts.
func (s *Session) Reading() int { return s.reading }

// Lines is how many lines of the body TOP wants; -1: RETR, the whole message.
func (s *Session) Lines() int { return s.lines }

// State is the state of the session in the words of RFC 1939 section 3, or the command that
// it is at: AUTH, STLS. END: it has closed.
func (s *Session) State() string {
	switch s.phase {
	case authorization:
		return "AUTHORIZATION"
	case transaction:
		return "TRANSACTION"
	case update:
		return "UPDATE"
	case exchanging:
		return "AUTH"
	case securing:
		return "STLS"
	}
	return "END"
}

// Counts is what a session did, for the log.
type Counts struct {
	Top, Retr             int   // messages sent
	TopOctets, RetrOctets int64 // their octets
	Deleted, Messages     int   // deleted by the update, and listed at the login
	Octets                int64 // listed at the login
}

// Left reports whether the peer has ended the session, by QUIT.
func (s *Session) Left() bool { return s.left }

// Counts returns what the session did so far.
func (s *Session) Counts() Counts {
	c := Counts{Top: int(s.tops), Retr: int(s.retrs), TopOctets: s.topOctets, RetrOctets: s.retrOctets}
	if s.updated {
		c.Deleted = s.deleted
	}
	if s.listing != nil {
		c.Messages, c.Octets = s.listing.Len(), s.listing.Octets()
	}
	return c
}

// AppendTo appends c as mail log tools know it from Dovecot: "top=0/0,
// retr=3/4512, del=3/3, size=4512".
func (c Counts) AppendTo(dst []byte) []byte {
	pair := func(name string, a, b int64) {
		dst = append(dst, name...)
		dst = strconv.AppendInt(dst, a, 10)
		dst = append(dst, '/')
		dst = strconv.AppendInt(dst, b, 10)
		dst = append(dst, ", "...)
	}
	pair("top=", int64(c.Top), c.TopOctets)
	pair("retr=", int64(c.Retr), c.RetrOctets)
	pair("del=", int64(c.Deleted), int64(c.Messages))
	dst = append(dst, "size="...)
	return strconv.AppendInt(dst, c.Octets, 10)
}
