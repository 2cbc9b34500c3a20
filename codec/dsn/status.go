package dsn

import (
	"strings"
	"time"

	"postrider/codec/smtp"
)

// appendStatus appends the part for programs, RFC 3464 section 2.
func (r *Report) appendStatus(dst []byte, wide bool) []byte {
	dst = append(dst, "Content-Description: Delivery report\r\nContent-Type: message/"...)
	if wide {
		dst = append(dst, "global-"...)
	}
	dst = append(dst, "delivery-status\r\n"...)
	dst = appendEncoding(dst, wide)
	dst = append(dst, "\r\n"...)
	dst = appendField(dst, "Reporting-MTA", "dns; "+r.ReportingMTA, false)
	if r.EnvID != "" {
		id := smtp.AppendXtextDecoded(nil, []byte(r.EnvID))
		dst = appendField(dst, "Original-Envelope-Id", string(id), false)
	}
	dst = appendField(dst, "X-Postrider-Queue-ID", r.QueueID, false)
	if !r.DoubleBounce {
		dst = appendAddress(append(dst, "X-Postrider-Sender: "...), r.To, wide)
	}
	if r.ReceivedFromMTA != "" {
		dst = appendField(dst, "Received-From-MTA", "dns; "+r.ReceivedFromMTA, false)
	}
	if !r.Arrival.IsZero() {
		dst = appendDate(append(dst, "Arrival-Date: "...), r.Arrival)
	}
	for i := range r.Recipients {
		dst = append(dst, "\r\n"...)
		dst = r.Recipients[i].appendStatus(dst, r.LifetimeEnd, wide)
	}
	return dst
}

// appendStatus appends the fields of one recipient, RFC 3464 section 2.3.
func (p *Recipient) appendStatus(dst []byte, lifetimeEnd time.Time, wide bool) []byte {
	dst = appendORcpt(dst, p.ORcpt, wide)
	dst = appendAddress(append(dst, "Final-Recipient: "...), p.Final, wide)
	dst = appendField(dst, "Action", p.Action.String(), false)
	dst = append(dst, "Status: "...)
	dst = append(p.appendCode(dst), "\r\n"...)
	if name := mtaName(p.RemoteMTA); name != "" {
		dst = appendField(dst, "Remote-MTA", "dns; "+name, wide)
	}
	if text, kind := p.diagnostic(); text != "" {
		line := len(dst)
		dst = append(dst, "Diagnostic-Code: "...)
		dst = append(dst, kind...)
		dst = appendFolded(append(dst, ';'), line, text, wide)
	}
	if !p.LastAttempt.IsZero() {
		dst = appendDate(append(dst, "Last-Attempt-Date: "...), p.LastAttempt)
	}
	until := p.WillRetryUntil
	if until.IsZero() {
		until = lifetimeEnd
	}
	if p.Action == Delay && !until.IsZero() {
		dst = appendDate(append(dst, "Will-Retry-Until: "...), until)
	}
	return dst
}

// diagnostic is the text of Diagnostic-Code and its type. A reason in our own
// words is never of type smtp, which wants the reply as it came (RFC 3461 section
// 9.2).
func (p *Recipient) diagnostic() (text, kind string) {
	switch {
	case strings.TrimSpace(p.Diagnostic) == "":
		return strings.TrimSpace(p.Reason), TypePostrider
	case strings.EqualFold(p.DiagnosticType, TypeSMTP):
		return p.Diagnostic, TypeSMTP
	}
	return p.Diagnostic, TypePostrider
}

// appendCode appends the status code. A class that contradicts the action is
// corrected, the rest of the code stays. A failure may have class 4: the message was
// tried until it was too old.
func (p *Recipient) appendCode(dst []byte) []byte {
	classes := "2"
	switch p.Action {
	case Failure:
		classes = "54"
	case Delay:
		classes = "4"
	}
	code := p.Status
	if !isStatus(code) {
		code = "x.0.0"
	}
	if strings.IndexByte(classes, code[0]) < 0 {
		dst = append(dst, classes[0])
		return append(dst, code[1:]...)
	}
	return append(dst, code...)
}

// isStatus reports whether s is a status code of RFC 3463 section 2.
func isStatus(s string) bool {
	class, rest, _ := strings.Cut(s, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	return len(class) == 1 && isNumber(class) && isNumber(subject) && isNumber(detail)
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 3
}

// mtaName is the name of a host, without the address and port after it; an
// address without a name keeps its brackets.
func mtaName(peer string) string {
	if at := strings.IndexByte(peer, '['); at > 0 {
		return peer[:at]
	}
	if end := strings.IndexByte(peer, ']'); end >= 0 {
		return peer[:end+1]
	}
	return peer
}
