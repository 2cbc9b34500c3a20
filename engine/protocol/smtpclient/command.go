package smtpclient

import (
	"strconv"

	"postrider/codec/smtp"
)

// groupOctets is how many octets of commands are sent before their replies are
// read. More would speed up nothing, and a peer that answers while we write might
// fill both directions of the connection, so that neither side could go on (RFC
// 2920 section 3.1).
const groupOctets = 4 << 10

// write writes the next group of commands: one, or with PIPELINING as many as
// fit, DATA at its end (RFC 2920 section 3.1).
func (s *Session) write(e *Effects) {
	from := len(e.Send)
	for {
		switch s.next.phase {
		case resetting:
			e.Send = append(e.Send, "RSET\r\n"...)
		case mailing:
			e.Send = s.appendMail(e.Send)
		case adding:
			e.Send = s.appendRcpt(e.Send, &s.tx.Recipients[s.next.rcpt])
		case starting:
			e.Send = append(e.Send, "DATA\r\n"...)
		default:
			return
		}
		s.next = s.after(s.next)
		if !s.offer.pipelining || len(e.Send)-from >= groupOctets {
			return
		}
	}
}

func (s *Session) appendMail(b []byte) []byte {
	tx := s.tx
	b = append(b, "MAIL FROM:<"...)
	b = append(b, s.path(tx.ReversePath, tx.ASCIIReversePath)...)
	b = append(b, '>')
	if s.offer.size && tx.Size > 0 {
		b = append(b, " SIZE="...)
		b = strconv.AppendInt(b, tx.Size, 10)
	}
	switch {
	case (tx.Body == smtp.Body8BitMIME || tx.Body == smtp.BodyBinaryMIME) && s.offer.eightBit:
		b = append(b, " BODY=8BITMIME"...)
	case tx.Body == smtp.Body7Bit && s.offer.eightBit:
		b = append(b, " BODY=7BIT"...)
	}
	if s.utf8 {
		b = append(b, " SMTPUTF8"...)
	}
	if s.offer.dsn {
		switch tx.Ret {
		case smtp.RetFull:
			b = append(b, " RET=FULL"...)
		case smtp.RetHdrs:
			b = append(b, " RET=HDRS"...)
		}
		b = s.appendParam(b, " ENVID=", tx.EnvID)
	}
	return append(b, "\r\n"...)
}

func (s *Session) appendRcpt(b []byte, r *Recipient) []byte {
	b = append(b, "RCPT TO:<"...)
	b = append(b, s.path(r.ForwardPath, r.ASCIIPath)...)
	b = append(b, '>')
	if s.offer.dsn {
		b = appendNotify(b, r.Notify)
		b = s.appendParam(b, " ORCPT=", r.ORcpt)
	}
	return append(b, "\r\n"...)
}

// appendParam appends a parameter that has a value. A value that is not valid there
// is left out: better no notification than a command with another meaning.
func (s *Session) appendParam(b []byte, key, value string) []byte {
	if value == "" || !isValue(value, s.utf8) {
		return b
	}
	return append(append(b, key...), value...)
}

var notifies = [...]struct {
	bit  smtp.Notify
	word string
}{
	{smtp.NotifyNever, "NEVER"},
	{smtp.NotifySuccess, "SUCCESS"},
	{smtp.NotifyFailure, "FAILURE"},
	{smtp.NotifyDelay, "DELAY"},
}

func appendNotify(b []byte, set smtp.Notify) []byte {
	lead := " NOTIFY="
	for _, n := range notifies {
		if set&n.bit != 0 {
			b = append(append(b, lead...), n.word...)
			lead = ","
		}
	}
	return b
}
