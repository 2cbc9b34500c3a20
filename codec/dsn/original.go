package dsn

import (
	"bytes"
	"unicode/utf8"

	"postrider/codec/message"
)

// maxLine is the most octets of a line without its end (RFC 5322 section 2.1.1).
const maxLine = 998

// HeaderOf is the header of a message in plain form, without the empty line. Of a
// message that is cut somewhere it is the header as far as it goes.
func HeaderOf(plain []byte) []byte {
	for rest := plain; ; {
		_, behind, ok := message.Next(rest)
		if !ok {
			return plain[:len(plain)-len(rest)]
		}
		rest = behind
	}
}

// appendOriginal appends the part that returns the message, or its header.
func (r *Report) appendOriginal(dst []byte) []byte {
	dst = append(dst, "Content-Description: "...)
	if r.worst() != Success {
		dst = append(dst, "Undelivered "...)
	}
	dst = append(dst, "Message"...)
	eight := eightBit(r.Original)
	switch {
	case r.WholeMessage && r.global():
		dst = append(dst, "\r\nContent-Type: message/global"...)
	case r.WholeMessage:
		dst = append(dst, "\r\nContent-Type: message/rfc822"...)
	case r.global():
		dst = append(dst, " Headers\r\nContent-Type: message/global-headers"...)
	case eight && utf8.Valid(r.Original):
		dst = append(dst, " Headers\r\nContent-Type: text/rfc822-headers; charset=utf-8"...)
	case eight: // RFC 1428's name for an unknown character set
		dst = append(dst, " Headers\r\nContent-Type: text/rfc822-headers; charset=unknown-8bit"...)
	default:
		dst = append(dst, " Headers\r\nContent-Type: text/rfc822-headers"...)
	}
	dst = append(dst, "\r\n"...)
	dst = appendEncoding(dst, eight)
	return appendLines(append(dst, "\r\n"...), r.Original)
}

// global reports whether the returned header is one of RFC 6532: in UTF-8, from a
// sender that used SMTPUTF8. 8-bit headers without SMTPUTF8 exist as well; they go
// out as message/rfc822, the closest type there is.
func (r *Report) global() bool {
	if !r.UTF8 {
		return false
	}
	h := HeaderOf(r.Original)
	return eightBit(h) && utf8.Valid(h)
}

// appendLines appends text with CRLF for each line end, also for a CR or LF alone,
// and breaks lines that are too long (see the package comment).
func appendLines(dst, text []byte) []byte {
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			end = len(text)
		}
		line, rest := text[:end], text[min(end+1, len(text)):]
		ended := end < len(text)
		if ended {
			line = bytes.TrimSuffix(line, []byte("\r"))
		}
		for {
			before, after, alone := bytes.Cut(line, []byte("\r"))
			dst = appendBroken(dst, before)
			if !alone {
				break
			}
			dst = append(dst, "\r\n"...)
			line = after
		}
		if ended {
			dst = append(dst, "\r\n"...)
		}
		text = rest
	}
	return dst
}

// appendBroken appends a line, in pieces when it is too long.
func appendBroken(dst, line []byte) []byte {
	for limit := maxLine; len(line) > limit; limit = maxLine - 1 {
		n := runeStart(line, limit)
		dst = append(dst, line[:n]...)
		dst = append(dst, "\r\n "...)
		line = line[n:]
	}
	return append(dst, line...)
}
