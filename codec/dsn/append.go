package dsn

import (
	"time"

	"postrider/codec/message"
)

// Append appends the notification to dst, a message from its header on, in plain
// form.
func Append(dst []byte, r *Report) []byte {
	if r.Bare {
		bare := *r
		bare.Original, bare.WholeMessage = nil, false
		r = &bare
	}
	boundary, wide := r.boundary(), r.wide()
	dst = r.appendHeader(dst, boundary, wide || eightBit(r.Original))
	dst = append(dst, "This is a MIME-encapsulated message.\r\n"...)

	dst = appendDelimiter(dst, boundary)
	dst = r.appendNotice(dst, wide)
	dst = appendDelimiter(dst, boundary)
	dst = r.appendStatus(dst, wide)
	if !r.Bare {
		dst = appendDelimiter(dst, boundary)
		dst = r.appendOriginal(dst)
	}

	dst = append(dst, "\r\n--"...)
	dst = append(dst, boundary...)
	return append(dst, "--\r\n"...)
}

// NeedsUTF8 reports whether the notification has UTF-8 in a header, its own or that of
// a part, and so has to be sent with SMTPUTF8 (RFC 6531 section 3.2).
func (r *Report) NeedsUTF8() bool {
	return r.UTF8 && (r.wide() || r.global())
}

// wide reports whether the parts that are made here are in UTF-8.
func (r *Report) wide() bool {
	if !r.UTF8 {
		return false
	}
	for i := range r.Recipients {
		p := &r.Recipients[i]
		kind, _, _ := cutORcpt(p.ORcpt)
		if isUTF8Type(kind) || eightBit(p.Final) || eightBit(p.Reason) || eightBit(p.Diagnostic) || eightBit(p.RemoteMTA) {
			return true
		}
	}
	return eightBit(r.To)
}

// eightBit reports whether an octet of s is over 127.
func eightBit[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return true
		}
	}
	return false
}

// appendHeader appends the header of the notification and its empty line.
func (r *Report) appendHeader(dst []byte, boundary string, eight bool) []byte {
	dst = append(dst, "From: MAILER-DAEMON@"...)
	dst = appendClipped(dst, r.ReportingMTA, false)
	dst = append(dst, " (Mail Delivery System)\r\n"...)
	dst = appendField(dst, "Subject", r.subject(), false)
	dst = appendField(dst, "To", r.To, r.UTF8)
	dst = append(dst, "Date: "...)
	dst = appendDate(dst, r.Now)
	if r.MessageID != "" {
		dst = append(dst, "Message-ID: <"...)
		dst = appendClipped(dst, r.MessageID, false)
		dst = append(dst, ">\r\n"...)
	}
	dst = r.appendThread(dst)
	dst = append(dst, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""...)
	dst = append(dst, boundary...)
	dst = append(dst, "\"\r\n"...)
	dst = appendEncoding(dst, eight)
	return append(dst, "\r\n"...)
}

func (r *Report) subject() string {
	switch {
	case r.worst() == Delay:
		return "Delayed Mail (still being retried)"
	case r.worst() == Success:
		return "Successful Mail Delivery Report"
	case r.DoubleBounce:
		return "Postmaster Copy: Undelivered Mail"
	}
	return "Undelivered Mail Returned to Sender"
}

// appendThread ties the notification to the message (RFC 3834 section 3.1), by
// which mail readers show the two together.
func (r *Report) appendThread(dst []byte) []byte {
	f, ok := message.Find(r.Original, "Message-ID")
	id := f.Unfolded()
	if !ok || !isMessageID(id) {
		return dst
	}
	for _, name := range [...]string{"In-Reply-To: ", "References: "} {
		dst = append(dst, name...)
		dst = append(dst, id...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// isMessageID reports whether id is one msg-id that is safe in a header: printable
// ASCII without blanks in one pair of brackets.
func isMessageID(id []byte) bool {
	if len(id) < 3 || len(id) > 500 || id[0] != '<' || id[len(id)-1] != '>' {
		return false
	}
	for _, c := range id[1 : len(id)-1] {
		if c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

func appendDelimiter(dst []byte, boundary string) []byte {
	dst = append(dst, "\r\n--"...)
	dst = append(dst, boundary...)
	return append(dst, "\r\n"...)
}

func appendEncoding(dst []byte, eight bool) []byte {
	if eight {
		return append(dst, "Content-Transfer-Encoding: 8bit\r\n"...)
	}
	return append(dst, "Content-Transfer-Encoding: 7bit\r\n"...)
}

// appendDate appends t as RFC 5322 section 3.3 has it, and a line end.
func appendDate(dst []byte, t time.Time) []byte {
	return t.AppendFormat(dst, "Mon, 2 Jan 2006 15:04:05 -0700 (MST)\r\n")
}
