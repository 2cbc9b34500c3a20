package message

import (
	"net/netip"
	"time"
)

// Received has the contents of a trace field for one hop (RFC 5321 section 4.4). Its
// slices are borrowed for the call only.
type Received struct {
	Helo []byte     // as the client gave it; made harmless, cut at 255 octets
	RDNS string     // the client's name by DNS; empty: unknown
	IP   netip.Addr // the client's address; the zero Addr when mail came without a network
	Host string     // this server
	With string     // see With; empty: no protocol brought the mail
	// Local names the user whose program on this host submitted the mail, for the
	// comment after our name: "userid 1000". Empty for other mail.
	Local string
	// Client and Issuer are the common names of the client's verified certificate and
	// of its issuer; Client empty: there was none.
	Client, Issuer string
	ID             []byte    // the message's ID in this server's log
	For            []byte    // the recipient when there is exactly one, as path text without <>; else nil
	At             time.Time // shown in its own zone
}

// With is the "with" word of a Received field for a session (RFC 3848, RFC 6531
// section 4.3): extended for EHLO, utf8 for a transaction with SMTPUTF8.
func With(extended, utf8, tls, auth bool) string {
	at := 0
	if tls {
		at++
	}
	if auth {
		at += 2
	}
	switch {
	case utf8:
		return [...]string{"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"}[at]
	case extended:
		return [...]string{"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"}[at]
	}
	return "SMTP"
}

// The longest pieces that a trace field takes over: with them no line comes near
// the 998 octets of RFC 5322 section 2.1.1.
const (
	maxTraceName = 255 // RFC 5321 section 4.5.3.1.2
	maxTracePath = 512 // a path of the largest size with each octet quoted
)

// AppendReceived appends the Received field, in Postfix's familiar shape and
// with its line ends, to dst:
//
//	Received: from HELO (rdns [ip])
//		by host (postrider) with ESMTP id ID
//		for <rcpt>; Sun, 22 Nov 2026 23:00:00 +0000 (UTC)
func AppendReceived(dst []byte, r Received) []byte {
	utf8 := len(r.With) >= 4 && r.With[:4] == "UTF8"
	dst = append(dst, "Received: "...)
	if r.IP.IsValid() || len(r.Helo) > 0 {
		dst = append(dst, "from "...)
		dst = appendName(dst, r.Helo, utf8)
		dst = appendClient(dst, r)
		dst = append(dst, "\r\n\t"...)
	}
	dst = append(dst, "by "...)
	dst = append(dst, r.Host...)
	dst = append(dst, " (postrider"...)
	if r.Local != "" {
		dst = append(dst, ", from "...)
		dst = appendWords(dst, r.Local)
	}
	dst = append(dst, ')')
	if r.With != "" {
		dst = append(dst, " with "...)
		dst = append(dst, r.With...)
	}
	dst = append(appendCertificate(dst, r), "id "...)
	dst = append(dst, r.ID...)
	if len(r.For) > 0 && len(r.For) <= maxTracePath {
		dst = append(dst, "\r\n\tfor <"...)
		dst = appendPath(dst, r.For)
		dst = append(dst, ">; "...)
	} else {
		dst = append(dst, ";\r\n\t"...)
	}
	dst = AppendDate(dst, r.At)
	return append(dst, "\r\n"...)
}

// appendCertificate appends what Postfix writes about a client's certificate, on a line of
// its own, or a blank.
func appendCertificate(dst []byte, r Received) []byte {
	if r.Client == "" {
		return append(dst, ' ')
	}
	dst = append(dst, "\r\n\t(Client CN \""...)
	dst = appendWords(dst, r.Client)
	dst = append(dst, "\", Issuer \""...)
	dst = appendWords(dst, r.Issuer)
	return append(dst, "\" (verified OK))\r\n\t"...)
}

// appendClient appends " (rdns [ip])".
func appendClient(dst []byte, r Received) []byte {
	if !r.IP.IsValid() {
		return dst
	}
	dst = append(dst, " ("...)
	if r.RDNS == "" {
		dst = append(dst, "unknown"...)
	} else {
		dst = append(dst, r.RDNS[:min(len(r.RDNS), maxTraceName)]...)
	}
	dst = append(dst, " ["...)
	ip := r.IP.Unmap().WithZone("")
	if ip.Is6() {
		dst = append(dst, "IPv6:"...)
	}
	dst = ip.AppendTo(dst)
	return append(dst, "])"...)
}

// AppendName appends what a client called itself, as a Received field of a session
// without UTF-8 has it.
func AppendName(dst, name []byte) []byte {
	if len(name) == 0 {
		return dst
	}
	return appendName(dst, name, false)
}

// appendName appends what a client called itself, with "?" for what could end a
// word, a comment or the field: Postfix's list, and controls. Octets above ASCII
// stay where the session has agreed on UTF-8.
func appendName(dst, name []byte, utf8 bool) []byte {
	if len(name) == 0 {
		return append(dst, "unknown"...)
	}
	for _, c := range name[:min(len(name), maxTraceName)] {
		switch {
		case c <= ' ', c == 0x7f, c >= 0x80 && !utf8:
			c = '?'
		case c == '<', c == '>', c == '(', c == ')', c == '\\', c == '"', c == ';', c == '@':
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendWords appends words for a comment, with "?" for what could end it.
func appendWords(dst []byte, words string) []byte {
	for _, c := range []byte(words[:min(len(words), maxTraceName)]) {
		if c < ' ' || c >= 0x7f || c == '(' || c == ')' || c == '\\' {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// AppendReturnPath appends the Return-Path field of final delivery (RFC 5321
// section 4.4) to dst. path is the reverse-path as text without its brackets
// (quoted where it needs quotes); empty for the null path, which gives <>.
func AppendReturnPath(dst, path []byte) []byte {
	dst = append(dst, "Return-Path: <"...)
	dst = appendPath(dst, path)
	return append(dst, ">\r\n"...)
}

// AppendDeliveredTo appends the Delivered-To field for an address as text, the
// mark by which Head.DeliveredTo knows a loop.
func AppendDeliveredTo(dst, addr []byte) []byte {
	dst = append(dst, "Delivered-To: "...)
	dst = appendPath(dst, addr)
	return append(dst, "\r\n"...)
}

// appendPath appends path text with "?" for controls: it can't end its line.
func appendPath(dst, path []byte) []byte {
	for _, c := range path {
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}
