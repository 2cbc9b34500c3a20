package dsn

import (
	"strconv"
	"strings"
	"time"

	"postrider/codec/address"
	"postrider/codec/smtp"
)

// appendNotice appends the part for people.
func (r *Report) appendNotice(dst []byte, wide bool) []byte {
	dst = append(dst, "Content-Description: Notification\r\nContent-Type: text/plain; charset="...)
	if wide {
		dst = append(dst, "utf-8\r\n"...)
	} else {
		dst = append(dst, "us-ascii\r\n"...)
	}
	dst = appendEncoding(dst, wide)
	dst = append(dst, "\r\nThis is the mail system at host "...)
	dst = appendClipped(dst, r.ReportingMTA, false)
	dst = append(dst, ".\r\n\r\n"...)
	switch r.worst() {
	case Failure:
		dst = r.appendFailure(dst)
	case Delay:
		dst = r.appendDelay(dst)
	default:
		dst = r.appendSuccess(dst)
	}
	dst = append(dst, "\r\n                   The mail system\r\n"...)
	for i := range r.Recipients {
		p := &r.Recipients[i]
		dst = append(dst, "\r\n"...)
		line := len(dst)
		dst = append(dst, '<')
		dst = appendClipped(dst, p.Final, wide)
		dst = append(dst, '>')
		if was := p.expandedFrom(); was != "" {
			dst = appendFolded(dst, line, "(expanded from <"+was+">): "+p.words(), wide)
			continue
		}
		dst = appendFolded(append(dst, ':'), line, p.words(), wide)
	}
	return dst
}

const help = "\r\nFor further assistance, please send mail to postmaster, and put this\r\n" +
	"report into it. The text of your own message may be left out.\r\n"

func (r *Report) appendFailure(dst []byte) []byte {
	what := "It's attached below.\r\n"
	if !r.WholeMessage {
		what = "Its header is attached below.\r\n"
	}
	if r.DoubleBounce {
		dst = append(dst, "A notification could not be delivered to one or more recipients.\r\n"+
			"It has no sender that could be told, so you are. "...)
		return append(dst, what...)
	}
	dst = append(dst, "I'm sorry to have to inform you that your message could not\r\n"+
		"be delivered to one or more recipients. "...)
	dst = append(dst, what...)
	return append(dst, help...)
}

func (r *Report) appendDelay(dst []byte) []byte {
	dst = append(dst, "####################################################################\r\n"+
		"# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\r\n"+
		"####################################################################\r\n\r\n"...)
	dst = append(dst, "Your message could not be delivered for more than "...)
	dst = appendSpan(dst, r.Now.Sub(r.Arrival))
	dst = append(dst, ".\r\n"...)
	if !r.LifetimeEnd.IsZero() {
		dst = append(dst, "It will be retried until it is "...)
		dst = appendSpan(dst, r.LifetimeEnd.Sub(r.Arrival))
		dst = append(dst, " old. If that does not help, it\r\nwill be returned to you on "...)
		dst = r.LifetimeEnd.AppendFormat(dst, "Mon, 2 Jan 2006 15:04:05 -0700 (MST).\r\n")
	}
	return append(dst, help...)
}

func (r *Report) appendSuccess(dst []byte) []byte {
	dst = append(dst, "Your message was successfully delivered to the destination(s)\r\n"+
		"listed below.\r\n"...)
	for i := range r.Recipients {
		if r.Recipients[i].Action == Relayed {
			return append(dst, "\r\nA host that it was relayed to sends no reports of success. Of that\r\n"+
				"recipient you will hear again only if the delivery fails there.\r\n"...)
		}
	}
	return dst
}

// appendSpan appends a duration, in whole days if it is some, else cut to hours,
// minutes or seconds: "4 hour(s)".
func appendSpan(dst []byte, d time.Duration) []byte {
	const day = 24 * time.Hour
	unit, name := time.Second, " second(s)"
	switch {
	case d >= day && d.Truncate(time.Hour)%day == 0:
		unit, name = day, " day(s)"
	case d >= time.Hour:
		unit, name = time.Hour, " hour(s)"
	case d >= time.Minute:
		unit, name = time.Minute, " minute(s)"
	}
	dst = strconv.AppendInt(dst, int64(max(d, 0)/unit), 10)
	return append(dst, name...)
}

// expandedFrom is the address that the sender wrote, if it is another one.
func (p *Recipient) expandedFrom() string {
	kind, xtext, ok := cutORcpt(p.ORcpt)
	if !ok || !strings.EqualFold(kind, "rfc822") {
		return ""
	}
	was := string(smtp.AppendXtextDecoded(nil, []byte(xtext)))
	if address.Fold(was) == address.Fold(p.Final) {
		return ""
	}
	return was
}

// words is what happened, for people.
func (p *Recipient) words() string {
	switch {
	case p.Reason != "":
		return p.Reason
	case p.Diagnostic != "" && p.RemoteMTA != "" && p.Action >= Success:
		return "delivery via " + p.RemoteMTA + ": " + p.Diagnostic
	case p.Diagnostic != "" && p.RemoteMTA != "":
		return "host " + p.RemoteMTA + " said: " + p.Diagnostic
	case p.Diagnostic != "":
		return p.Diagnostic
	case p.RemoteMTA != "":
		return p.Action.String() + " by host " + p.RemoteMTA
	}
	return p.Action.String()
}
