package config

import "path/filepath"

// Submission is the group [submission].
type Submission struct {
	Listen            []string // host:port; STARTTLS
	ListenTLS         []string // host:port; TLS from the first octet
	AnySender         bool
	ForeignFrom       ForeignFrom
	MessagesPerHour   int // for one account; 0: no limit
	RecipientsPerHour int // for one account; 0: no limit
	HideClient        bool
}

// ForeignFrom is what is done with a message whose From has another address than the account's.
type ForeignFrom string

// The values of submission.foreign_from.
const (
	ForeignFromReject   ForeignFrom = "reject"
	ForeignFromUnsigned ForeignFrom = "unsigned"
)

// keysOfSubmission returns the keys of mail submission by our own users (RFC 6409).
func keysOfSubmission(c *Config) []*Key {
	s := &c.Submission
	return []*Key{
		list("submission.listen", &s.Listen, nil, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("submission").
			help("Addresses to listen on for submission of mail by accounts, after AUTH, with STARTTLS (port 587, RFC 6409)."),
		list("submission.listen_tls", &s.ListenTLS, nil, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("submissions").
			help("Addresses to listen on for submission of mail by accounts, after AUTH, with implicit TLS (port 465, RFC 8314)."),
		boolean("submission.any_sender", &s.AnySender, false).
			help("Let an account send with any sender address. False: only with its own address and aliases that lead to it, on all listeners that offer AUTH. This applies to the reverse-path, and to all addresses in the From and Sender fields."),
		choice("submission.foreign_from", &s.ForeignFrom, ForeignFromReject, ForeignFromUnsigned).
			help("What to do with a message of an account, with any_sender = false, whose From or Sender field has an address that is not its own, or that has two From fields: reject it with 553, or send it unsigned: without a DKIM signature."),
		count("submission.messages_per_hour", &s.MessagesPerHour, 1000, 0, 1<<30).
			help("Maximum number of messages per account and hour; then 450 with the time when it may send again; 0: no limit."),
		count("submission.recipients_per_hour", &s.RecipientsPerHour, 10000, 0, 1<<30).
			help("Maximum number of recipients per account and hour; then 450; 0: no limit."),
		boolean("submission.hide_client", &s.HideClient, false).
			help("Leave out of Received the IP address from which an account sent its mail: it is often a home address."),
	}
}

// SystemMailSocket is where sendmail looks without a configuration that it may read.
const SystemMailSocket = "/run/postrider/mail.sock"

// LocalMailSocket is the socket at which every user of this machine may hand in mail.
func (c *Config) LocalMailSocket() string {
	switch data := filepath.Clean(c.Server.Data); {
	case c.Server.MailSocket != "":
		return c.Server.MailSocket
	case data == "/var/lib/postrider":
		return SystemMailSocket
	default:
		return data + ".mail.sock"
	}
}

// DKIMDir is where the keys are that mail is signed with.
func (c *Config) DKIMDir() string { return filepath.Join(c.Server.Data, "dkim") }
