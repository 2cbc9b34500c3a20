package smtpd

import "postrider/codec/smtp"

// Phase is where a session stands. Only Session.enter changes it.
type Phase uint8

// The phases.
const (
	Connected      Phase = iota // the peer has not said who it is
	Greeted                     // HELO or EHLO was taken; no transaction
	Mailed                      // MAIL was taken; no recipient yet
	Addressed                   // there are recipients
	Chunked                     // a BDAT was taken, the last is still to come
	InData                      // message octets behind DATA
	InChunk                     // octets behind BDAT
	Authenticating              // responses behind AUTH
	Securing                    // the handshake of TLS; Secured ends it
	Closed                      // nothing is read any more
	phases
)

// enter is the one place where the phase changes.
func (s *Session) enter(p Phase) { s.phase = p }

// inTransaction says whether a transaction is open.
func (p Phase) inTransaction() bool { return p >= Mailed && p <= InChunk }

// order is the order of commands: what is said to a verb in a phase in which it
// may not come. Where nothing stands, it may.
var order = [phases][smtp.Verbs]*smtp.Reply{
	Connected: {smtp.Mail: &politeFirst, smtp.Auth: &politeFirst, smtp.Starttls: &politeFirst, smtp.Rcpt: &needMail, smtp.Data: &needMail, smtp.Bdat: &needMail},
	Greeted:   {smtp.Rcpt: &needMail, smtp.Data: &needMail, smtp.Bdat: &needMail},
	Mailed:    {smtp.Mail: &nested, smtp.Auth: &notInside, smtp.Starttls: &notInside, smtp.Xclient: &notInside, smtp.Data: &noRecipients, smtp.Bdat: &noRecipients},
	Addressed: {smtp.Mail: &nested, smtp.Auth: &notInside, smtp.Starttls: &notInside, smtp.Xclient: &notInside},
	Chunked:   {smtp.Mail: &nested, smtp.Auth: &notInside, smtp.Starttls: &notInside, smtp.Xclient: &notInside, smtp.Rcpt: &bdatBegun, smtp.Data: &bdatBegun},
}

// Replies out of order.
var (
	politeFirst  = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Polite people say HELO first"}
	needMail     = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Need MAIL command first"}
	nested       = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Sender already specified"}
	noRecipients = smtp.Reply{Code: 554, Enhanced: "5.5.1", Text: "No valid recipients"}
	notInside    = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Not inside a mail transaction"}
	bdatBegun    = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "The message has begun with BDAT; go on with BDAT or RSET"}
)
