package mx

import (
	"errors"
	"net/netip"
	"strings"
)

// The causes of an [Error], for errors.Is.
var (
	ErrNullMX    = errors.New("the domain accepts no mail")  // RFC 7505
	ErrNoDomain  = errors.New("the domain does not exist")   // NXDOMAIN, or not a valid name
	ErrNoAddress = errors.New("no mail host has an address") // the domain exists, but no host takes its mail
	ErrPrivate   = errors.New("all mail hosts have private or local addresses")
	ErrLoop      = errors.New("this host is the best mail host")   // RFC 5321 section 5.1
	ErrTemporary = errors.New("no name server answered")           // SERVFAIL, REFUSED, silence
	ErrRefused   = errors.New("a transport rule refuses the mail") // router.Refused
)

// Error is why there are no hosts to try. Its text is as in Postfix, and may be shown to the
// sender.
type Error struct {
	Cause     error    `json:"-"`         // one of the causes above, or the context's error
	Status    string   `json:"status"`    // enhanced status code, RFC 3463
	Permanent bool     `json:"permanent"` // the mail bounces; else it is tried again later
	Text      string   `json:"text"`      // one line for the sender and the log
	Notes     []string `json:"-"`         // the notes, for the operator
}

func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Softened returns the error for a next hop that the operator named. The fault is in the
// configuration, so mail waits for a correction and does not bounce. Hosts softens errors
// for hops ByHost; its caller has to for hops ByMX.
func (e *Error) Softened() *Error {
	if !e.Permanent || e.Cause == ErrRefused {
		return e
	}
	soft := *e
	soft.Permanent, soft.Status = false, "4.3.5"
	soft.Notes = append(soft.Notes[:len(soft.Notes):len(soft.Notes)], "the configuration names the next hop: mail waits until the configuration is corrected")
	return &soft
}

// nameError makes an error about a name, with Postfix's text. what has the name servers'
// answer.
func nameError(cause error, status string, name, qtype, what string) *Error {
	return &Error{
		Cause: cause, Status: status, Permanent: !strings.HasPrefix(status, "4"),
		Text: "Host or domain name not found. Name service error for name=" + name + " type=" + qtype + ": " + what,
	}
}

// The values for what in nameError.
const (
	notFound  = "Host not found"
	tryAgain  = "Host not found, try again"
	noRecord  = "Host found but no data record of requested type"
	malformed = "Malformed domain name"
	tooMany   = "too many records, and none of the best ones leads to a host"
	// unexpected means that no MX record has a valid host name.
	unexpected = "Malformed or unexpected name server reply"
)

func nullMX(domain string) *Error {
	return &Error{Cause: ErrNullMX, Status: "5.1.10", Permanent: true, Text: "Domain " + domain + " does not accept mail (nullMX)"}
}

func loop(domain string) *Error {
	return &Error{Cause: ErrLoop, Status: "5.4.6", Permanent: true, Text: "mail for " + domain + " loops back to myself"}
}

// private is the error for a domain whose mail hosts have only private or local addresses.
func private(domain, host string, addr netip.Addr) *Error {
	return &Error{Cause: ErrPrivate, Status: "5.4.4", Permanent: true, Text: "mail for " + domain + " is not sent to " + host + "[" + addr.String() +
		"]: this address is private or local, and not in relay.private_networks"}
}

// refused is the error for a transport rule error:TEXT. As with Postfix's error transport,
// TEXT may begin with a status code.
func refused(text string) *Error {
	e := &Error{Cause: ErrRefused, Status: "5.0.0", Permanent: true, Text: text}
	if status, rest, _ := strings.Cut(text, " "); isPermanentStatus(status) {
		e.Status, e.Text = status, strings.TrimSpace(rest)
	}
	if e.Text == "" {
		e.Text = "a transport rule refuses mail for this domain"
	}
	return e
}

// isPermanentStatus reports whether s is a status 5.N.N, with one to three digits each.
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
