package dsn

import (
	"time"

	"postrider/codec/smtp"
)

// Kind is the kind of a report for a recipient (RFC 3464 section 2.3.3).
type Kind uint8

// The kinds. Failure: given up. Delay: late, still tried. Success: delivered to a
// mailbox. Relayed: handed to a host that does not report (RFC 3461 section
// 5.2.2). Expanded: delivered, and sent on from there to several others.
const (
	Failure Kind = iota
	Delay
	Success
	Relayed
	Expanded
)

// String is the word of the Action field.
func (k Kind) String() string {
	switch k {
	case Delay:
		return "delayed"
	case Success:
		return "delivered"
	case Relayed:
		return "relayed"
	case Expanded:
		return "expanded"
	}
	return "failed"
}

// Report is a notification about one message. Texts need no care before: Append
// makes them harmless.
type Report struct {
	ReportingMTA string // the name of this host, also that of the From field
	// To is the report's recipient, an address as text without brackets: the
	// reverse-path of the message reported on, or the postmaster for a DoubleBounce.
	To string
	// DoubleBounce: the message reported on has the null reverse-path, it is itself
	// a notification.
	DoubleBounce bool
	MessageID    string    // the notification's own, without brackets; "": no such field
	Now          time.Time // for the Date field; times are shown in their own zone

	QueueID         string // the queue ID of the message reported on
	EnvID           string // its ENVID as it came, xtext; "": not said
	Arrival         time.Time
	ReceivedFromMTA string    // the name of the host that brought it; "": not said
	LifetimeEnd     time.Time // when it is given up; for Delay. Zero: not said
	// UTF8: it came with SMTPUTF8, so its sender can read UTF-8 in addresses.
	UTF8 bool

	// Recipients, at least one. They should be of one kind; the worst of them, in the
	// order failure, delay, success, gives the report its subject and wording.
	Recipients []Recipient

	// Original is what is returned, in plain form: the message when WholeMessage is
	// set, else its header (see HeaderOf). Append only reads it.
	Original     []byte
	WholeMessage bool
	// Bare: nothing of Original is used, and the third part is not there (RFC 6522
	// section 3).
	Bare bool
}

// Recipient is one recipient of a Report.
type Recipient struct {
	Final  string // the forward-path as text without brackets
	ORcpt  string // ORCPT as it came, "rfc822;xtext"; "": not said
	Action Kind
	// Status is the enhanced status code, "5.1.1". Text that is no status code, or has a
	// class that does not go with the Action (RFC 3464 section 2.3.4), is corrected.
	Status string
	// RemoteMTA is the host that said Diagnostic, "mx.example.org"; "" is this host.
	// An address and a port after it, "mx.example.org[192.0.2.1]:25", are for people.
	RemoteMTA string
	// Diagnostic is what RemoteMTA replied, code and all, or our own reason; it may
	// have several lines. DiagnosticType says which: "smtp", else "X-Postrider".
	Diagnostic, DiagnosticType string
	// Reason is the same for people: "host mx.example.org[192.0.2.1] said: 550 no (in
	// reply to RCPT TO command)". If it is empty, Diagnostic is used, and vice versa.
	Reason         string
	LastAttempt    time.Time // zero: not said
	WillRetryUntil time.Time // for Delay; zero: LifetimeEnd
}

// The values of Recipient.DiagnosticType.
const (
	TypeSMTP      = "smtp"
	TypePostrider = "X-Postrider"
)

// Whole reports whether a report brings back the whole message, of size octets, or
// its header only (RFC 3461 section 4.3): RET=HDRS gets the header, and so does
// every report without a failure. Over limit octets even RET=FULL gets the header;
// otherwise a forged sender would make us send large messages to a victim.
func Whole(ret smtp.Ret, k Kind, size, limit int64) bool {
	return k == Failure && ret != smtp.RetHdrs && size <= limit
}

// worst is the kind that words the report.
func (r *Report) worst() Kind {
	worst := Success
	for i := range r.Recipients {
		worst = min(worst, r.Recipients[i].Action)
	}
	return worst
}
