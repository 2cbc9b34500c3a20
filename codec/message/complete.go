package message

import (
	"bytes"
	"time"
)

// Completion says what is added to the header of a submitted message, and what is
// removed from it. Submission, sendmail and the web client use it.
type Completion struct {
	Domain    string // for addresses without a domain; "": they stay as they are
	MessageID string // without brackets
	From      string // the value of a From field that is missing
	Date      time.Time
}

// maxQualified bounds what domains may add to one header: each octet of an
// address could bring a whole domain.
const maxQualified = 64 << 10

// Append appends header (its lines end with CRLF or LF) to dst, and then the fields
// that it lacks (RFC 5322 section 3.6, RFC 6409 section 8). header is without its empty
// line, and so is the result. An empty Date, From or Message-ID is missing and taken
// out, and so is a second Date or Message-ID. Bcc, Resent-Bcc and Return-Path are
// removed. Addresses without a domain get one (RFC 6409 section 4.2). All other octets
// stay.
func (c *Completion) Append(dst, header []byte) []byte {
	from, date, id := false, false, false
	left := maxQualified
	for text := header; ; {
		f, rest, ok := Next(text)
		if !ok {
			break
		}
		raw := text[:len(text)-len(rest)]
		text = rest
		switch {
		case f.Is("Bcc"), f.Is("Resent-Bcc"), f.Is("Return-Path"):
			continue
		case f.Is("From"):
			if v := f.Unfolded(); len(v) == 0 || string(v) == "<>" {
				continue
			}
			from = true
		case f.Is("Date"):
			if date || len(f.Unfolded()) == 0 {
				continue
			}
			date = true
		case f.Is("Message-ID"):
			if id || !hasMessageID(f.Unfolded()) {
				continue
			}
			id = true
		}
		if c.Domain == "" || !hasAddresses(f) {
			dst = append(dst, raw...)
			continue
		}
		before := len(dst)
		dst = appendQualified(append(dst, raw[:len(raw)-len(f.Value)]...), f.Value, c.Domain, left)
		left -= len(dst) - before - len(raw)
	}
	if len(dst) > 0 && len(header) > 0 && dst[len(dst)-1] != '\n' {
		dst = append(dst, "\r\n"...)
	}
	if !id {
		dst = append(dst, "Message-ID: <"+c.MessageID+">\r\n"...)
	}
	if !date {
		dst = c.Date.AppendFormat(append(dst, "Date: "...), "Mon, 2 Jan 2006 15:04:05 -0700")
		dst = append(dst, "\r\n"...)
	}
	if !from {
		dst = append(dst, "From: "+c.From+"\r\n"...)
	}
	return dst
}

// hasMessageID reports whether v has an id between angle brackets.
func hasMessageID(v []byte) bool {
	open := bytes.IndexByte(v, '<')
	return open >= 0 && len(bytes.TrimSpace(v[open+1:])) > 0 && bytes.IndexByte(bytes.TrimSpace(v[open+1:]), '>') > 0
}

// hasAddresses reports whether f is a list of addresses that are to be qualified.
func hasAddresses(f Field) bool {
	name := f.Name
	if len(name) > 7 && bytes.EqualFold(name[:7], []byte("Resent-")) {
		name = name[7:]
	}
	for _, known := range [...]string{"From", "Sender", "Reply-To", "To", "Cc"} {
		if len(name) == len(known) && bytes.EqualFold(name, []byte(known)) {
			return true
		}
	}
	return false
}
