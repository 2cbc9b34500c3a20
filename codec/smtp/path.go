package smtp

// ReversePath is where a message comes from: the argument of MAIL FROM (RFC 5321
// section 4.1.2). Only ParseMail makes one. Its octets are borrowed from the
// command line that was parsed; Clone keeps them.
type ReversePath struct{ mailbox }

// IsNull reports whether the path is <>: the sender of notifications, which never
// gets one itself (RFC 5321 section 4.5.5).
func (p ReversePath) IsNull() bool { return len(p.local) == 0 && len(p.domain) == 0 }

// ForwardPath is where a message goes to: the argument of RCPT TO. Only
// ParseRcpt makes one. Borrowed like ReversePath.
type ForwardPath struct{ mailbox }

// IsPostmaster reports whether the path is <Postmaster> without a domain, in any
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

// Keep appends the path's octets to mem and returns the path that borrows from
// there: many paths share one allocation.
func (p ReversePath) Keep(mem []byte) (ReversePath, []byte) {
	m, mem := p.keep(mem)
	return ReversePath{m}, mem
}

// Keep appends the path's octets to mem and returns the path that borrows from
// there: many paths share one allocation.
func (p ForwardPath) Keep(mem []byte) (ForwardPath, []byte) {
	m, mem := p.keep(mem)
	return ForwardPath{m}, mem
}

func (m mailbox) keep(mem []byte) (mailbox, []byte) {
	a := len(mem)
	mem = append(mem, m.local...)
	b := len(mem)
	mem = append(mem, m.domain...)
	return mailbox{local: mem[a:b:b], domain: mem[b:len(mem):len(mem)], quote: m.quote}, mem
}

// AppendTo appends the mailbox as it goes on the wire, without angle brackets,
// to dst: local part in quotes where it needs them, "@" and domain. The null
// path appends nothing, <Postmaster> no domain.
func (m mailbox) AppendTo(dst []byte) []byte {
	if m.quote {
		dst = append(dst, '"')
		for _, c := range m.local {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
		dst = append(dst, '"')
	} else {
		dst = append(dst, m.local...)
	}
	if len(m.domain) > 0 {
		dst = append(dst, '@')
		dst = append(dst, m.domain...)
	}
	return dst
}

// written is how many octets AppendTo appends.
func (m mailbox) written() int {
	n := len(m.local) + len(m.domain)
	if len(m.domain) > 0 {
		n++
	}
	if !m.quote {
		return n
	}
	for _, c := range m.local {
		if c == '"' || c == '\\' {
			n++
		}
	}
	return n + 2
}

// AppendLocalTo appends the local part as it goes on the wire, in quotes where it
// needs them.
func (m mailbox) AppendLocalTo(dst []byte) []byte {
	return mailbox{local: m.local, quote: m.quote}.AppendTo(dst)
}

// String returns the mailbox as AppendTo writes it.
func (m mailbox) String() string { return string(m.AppendTo(nil)) }

// NeedsUTF8 reports whether the mailbox can only go where SMTPUTF8 is offered (RFC
// 6531 section 3.1).
func (m mailbox) NeedsUTF8() bool { return !isASCII(m.local) || !isASCII(m.domain) }
