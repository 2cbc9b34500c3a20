package mx

import (
	"errors"
	"net/netip"
	"strings"
)

// What can be wrong with a next hop; errors.Is finds them in an [Error].
var (
	ErrNullMX    = errors.New("the domain takes no mail")    // RFC 7505
	ErrNoDomain  = errors.New("the domain does not exist")   // NXDOMAIN, or not a name at all
	ErrNoAddress = errors.New("no mail host has an address") // the domain exists, but no host takes its mail
	ErrPrivate   = errors.New("all mail hosts have private or local addresses")
	ErrLoop      = errors.New("this host is the best mail host") // RFC 5321 section 5.1
	ErrTemporary = errors.New("the name servers give no answer") // SERVFAIL, REFUSED, silence
	ErrRefused   = errors.New("the mail goes nowhere by a rule") // router.Refused
)

// Error is why there are no hosts to try. Its text is in the shape that Postfix
// gives it, and fit for the sender's eyes.
type Error struct {
	Cause     error    `json:"-"`         // one of those above, or the caller's context's
	Status    string   `json:"status"`    // enhanced status code, RFC 3463
	Permanent bool     `json:"permanent"` // the mail is to be returned; otherwise tried again later
	Text      string   `json:"text"`      // one line for the sender and the log
	Notes     []string `json:"-"`         // what was found on the way, for the operator
}

func (e *Error) Error() string { return e.Text }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Softened is the error for a next hop that the operator named: what is wrong with
// it is wrong in the configuration, so mail waits until that is put right instead
// of being returned. Hosts does so for hops ByHost; of a hop ByMX its caller does.
func (e *Error) Softened() *Error {
	if !e.Permanent || e.Cause == ErrRefused {
		return e
	}
	soft := *e
	soft.Permanent, soft.Status = false, "4.3.5"
	soft.Notes = append(soft.Notes[:len(soft.Notes):len(soft.Notes)], "the next hop is named by the configuration: mail waits until that is put right")
	return &soft
}

// nameError is the error of a question about a name: Postfix's text, whose last
// words say what the name servers answered.
func nameError(cause error, status string, name, qtype, what string) *Error {
	return &Error{
		Cause: cause, Status: status, Permanent: !strings.HasPrefix(status, "4"),
		Text: "Host or domain name not found. Name service error for name=" + name + " type=" + qtype + ": " + what,
	}
}

// The last words of a nameError.
const (
	notFound  = "Host not found"
	tryAgain  = "Host not found, try again"
	noRecord  = "Host found but no data record of requested type"
	malformed = "Malformed domain name"
	tooMany   = "there are more records than are read, and none of those that are leads to a host"
	// The MX records have no name in them that a host can have.
	unexpected = "Malformed or unexpected name server reply"
)

func nullMX(domain string) *Error {
	return &Error{Cause: ErrNullMX, Status: "5.1.10", Permanent: true, Text: "Domain " + domain + " does not accept mail (nullMX)"}
}

func loop(domain string) *Error {
	return &Error{Cause: ErrLoop, Status: "5.4.6", Permanent: true, Text: "mail for " + domain + " loops back to myself"}
}

// private is the error for a domain whose mail hosts have no address but such as
// relay.private_networks would have to permit.
func private(domain, host string, addr netip.Addr) *Error {
	return &Error{Cause: ErrPrivate, Status: "5.4.4", Permanent: true, Text: "mail for " + domain + " is not sent to " + host + "[" + addr.String() +
		"]: this address is private or local, and not in relay.private_networks"}
}

// refused is the error of a rule error:TEXT. Like Postfix's error transport it
// takes a status code at the head of the text.
func refused(text string) *Error {
	e := &Error{Cause: ErrRefused, Status: "5.0.0", Permanent: true, Text: text}
	if status, rest, _ := strings.Cut(text, " "); isPermanentStatus(status) {
		e.Status, e.Text = status, strings.TrimSpace(rest)
	}
	if e.Text == "" {
		e.Text = "mail for this domain is refused by a transport rule"
	}
	return e
}

// isPermanentStatus knows 5.N.N, with one to three digits in each place.
func isPermanentStatus(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] != "5" {
		return false
	}
	for _, digits := range parts[1:] {
		if len(digits) < 1 || len(digits) > 3 || strings.Trim(digits, "0123456789") != "" {
			return false
		}
	}
	return true
}
