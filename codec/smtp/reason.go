package smtp

// Reason is why a server refuses a command or a message, for its metrics. A Reply has one of
// its own, or it follows from the enhanced status code: see Because.
type Reason uint8

// The reasons.
const (
	ReasonOther           Reason = iota
	UnknownRecipient             // no such mailbox, list or user
	BadAddress                   // another fault of an address
	MailboxDisabled              // the account takes no mail
	MailboxFull                  // a quota is used up
	LocalError                   // a fault of ours
	DiskFull                     // no room in the store
	NoMemory                     // no room in memory, or for a check, now
	ShuttingDown                 // the server or the session is ended
	MessageTooLarge              // the message, or its header
	TooManyHops                  // the message has too many Received fields
	MailLoop                     // an alias or a forwarding leads in a circle
	TooManyRecipients            // more than one message may have
	TooManyMessages              // more than one session may have
	TooManyErrors                // more than one session may have
	BadSequence                  // a command that may not come now
	BadSyntax                    // a command or an argument that can't be read
	BareLineEnd                  // CR or LF alone in a message
	BadContent                   // another fault of a message
	RelayDenied                  // mail for another domain
	SenderNotOwned               // the account may not write under that address
	MessagesPerHour              // the account has sent to its limit
	RecipientsPerHour            // likewise
	AuthRequired                 // a login or TLS comes first
	WrongPassword                // user and password don't match
	TooManyFailedLogins          // more than one network may have
	LoginOver                    // the account has another password or is gone
	TooManyConnections           // more than all clients may have, or this one
	TooManyHandshakes            // more than a client may begin, or all of them
	ClientConnectionRate         // a client connects too often
	NetworkConnectionRate        // its network does
	ClientMessageRate            // a client sends too many messages
	NetworkMessageRate           // its network does
	QuestionRate                 // the mail of a client asks too many questions
	EarlyTalker                  // the client spoke before the greeting
	Pipelining                   // the client did not wait for a reply
	DNSList                      // the client is on DNS lists
	Greylisted                   // the recipient waits
	DMARCRejected                // the domain of the From field wants it
	Reasons                      // how many there are
)

// reasonNames are the reasons as metrics have them.
var reasonNames = [Reasons]string{
	ReasonOther: "other", UnknownRecipient: "unknown_recipient", BadAddress: "bad_address",
	MailboxDisabled: "mailbox_disabled", MailboxFull: "mailbox_full", LocalError: "local_error",
	DiskFull: "disk_full", NoMemory: "no_memory", ShuttingDown: "shutting_down",
	MessageTooLarge: "message_too_large", TooManyHops: "too_many_hops", MailLoop: "mail_loop",
	TooManyRecipients: "too_many_recipients", TooManyMessages: "too_many_messages", TooManyErrors: "too_many_errors",
	BadSequence: "bad_sequence", BadSyntax: "bad_syntax", BareLineEnd: "bare_line_end", BadContent: "bad_content",
	RelayDenied: "relay_denied", SenderNotOwned: "sender_not_owned",
	MessagesPerHour: "messages_per_hour", RecipientsPerHour: "recipients_per_hour",
	AuthRequired: "auth_required", WrongPassword: "wrong_password", TooManyFailedLogins: "too_many_failed_logins", LoginOver: "login_over",
	TooManyConnections: "too_many_connections", TooManyHandshakes: "too_many_handshakes",
	ClientConnectionRate: "client_connection_rate", NetworkConnectionRate: "network_connection_rate",
	ClientMessageRate: "client_message_rate", NetworkMessageRate: "network_message_rate", QuestionRate: "question_rate",
	EarlyTalker: "early_talker", Pipelining: "pipelining", DNSList: "dns_list", Greylisted: "greylisted", DMARCRejected: "dmarc",
}

// String is the reason as metrics have it.
func (r Reason) String() string { return reasonNames[r] }

// byStatus are the reasons that follow from an enhanced status code without its class.
var byStatus = map[string]Reason{
	"1.1": UnknownRecipient, "1.2": BadAddress, "1.3": BadAddress, "1.4": BadAddress, "1.7": BadAddress, "1.8": BadAddress, "1.10": BadAddress,
	"2.1": MailboxDisabled, "2.2": MailboxFull,
	"3.0": LocalError, "3.1": NoMemory, "3.2": ShuttingDown, "3.4": MessageTooLarge,
	"4.6": MailLoop,
	"5.0": BadSyntax, "5.1": BadSequence, "5.2": BadSyntax, "5.3": TooManyRecipients, "5.4": BadSyntax, "5.6": BadSyntax,
	"6.0": BadContent, "6.1": BadContent, "6.3": BadContent, "6.7": BadContent,
	"7.8": WrongPassword, "7.11": AuthRequired,
}

// Because returns the reason of a reply that refuses.
func (r *Reply) Because() Reason {
	if r.Reason != ReasonOther || len(r.Enhanced) < 5 {
		return r.Reason
	}
	return byStatus[r.Enhanced[2:]]
}
