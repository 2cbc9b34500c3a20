package smtp

// ReversePath is where a message comes from: the argument of MAIL FROM (RFC 5321
// section 4.1.2). Only ParseMail makes one. Its octets are borrowed from the
// command line that was parsed; Clone keeps them.
type ReversePath struct{ mailbox }

// IsNull says whether the path is <>: the sender of notifications, to whom
// nothing is ever returned (RFC 5321 section 4.5.5).
func (p ReversePath) IsNull() bool { return len(p.local) == 0 && len(p.domain) == 0 }

// ForwardPath is where a message goes to: the argument of RCPT TO. Only
// ParseRcpt makes one. Borrowed like ReversePath.
type ForwardPath struct{ mailbox }

// IsPostmaster says whether the path is <Postmaster> without a domain, in any
// case, which every server takes (RFC 5321 section 4.5.1).
func (p ForwardPath) IsPostmaster() bool {
	return len(p.domain) == 0 && equalFoldASCII(p.local, "postmaster")
}

// mailbox is a parsed Mailbox. A source route was dropped by the parser (RFC
// 5321 appendix C); "%" and "!" mean nothing here.
type mailbox struct {
	local  []byte // unquoted: "a b"@c gives a b, "alice" gives alice
	domain []byte // without a final dot; an address literal keeps its brackets
	quote  bool   // local needs quotes when it is written
}

// Local is the local part with quotes and backslashes undone, in the peer's case.
func (m mailbox) Local() []byte { return m.local }

// Domain is the domain in the peer's case, or an address literal with brackets.
func (m mailbox) Domain() []byte { return m.domain }
