package smtpd

import (
	"strconv"

	"postrider/codec/smtp"
)

// answers has the reply for each question and verdict. A verdict that is not
// in it is a fault of the caller; it is answered as Failed.
var answers = [...][Shutdown + 1]*smtp.Reply{
	AskTransaction: {Yes: &senderOK, Full: &diskFull, Busy: &overBudget, Failed: &failed},
	AskRecipient: {
		Yes: &recipientOK, Here: &recipientOK, Unknown: &noSuchUser, AliasLoop: &aliasLoop,
		NotRelayed: &notRelayed, MailboxFull: &mailboxFull, MailboxOver: &mailboxOver, MailboxOff: &mailboxOff,
		TooManyNow: &oneByOne, Full: &diskFull, Busy: &overBudget, Failed: &failed,
	},
	AskStored: {
		Yes: &stored, MailboxFull: &mailboxFull, MailboxOver: &mailboxOver, Full: &diskFull, Busy: &overBudget, Failed: &failed,
	},
	AskVerify: {
		Yes: &verified, Unknown: &noSuchUser, Ambiguous: &ambiguous, Unsaid: &unsaid,
		Busy: &overBudget, Failed: &failed,
	},
	AskExpand: {
		Yes: &verified, Unknown: &noSuchList, Unsaid: &unsaid, Busy: &overBudget, Failed: &failed,
	},
	AskAuth: {
		Yes: &authenticated, Denied: &authDenied, TooManyNow: &authThrottled, Busy: &authLater, Failed: &authLater,
	},
	AskClient: {Yes: &clientTaken, Failed: &failed},
	AskTLS:    {Yes: &tlsReady, Busy: &tlsLater, Failed: &tlsTooEarly},
}

// Replies to answers.
var (
	senderOK    = smtp.Reply{Code: 250, Enhanced: "2.1.0", Text: "... Sender ok"}
	recipientOK = smtp.Reply{Code: 250, Enhanced: "2.1.5", Text: "... Recipient ok"}
	stored      = smtp.Reply{Code: 250, Enhanced: "2.0.0", Text: " Message accepted for delivery"}
	verified    = smtp.Reply{Code: 250, Enhanced: "2.1.5"}
	noSuchUser  = smtp.Reply{Code: 550, Enhanced: "5.1.1", Text: "User unknown"}
	aliasLoop   = smtp.Reply{Code: 550, Enhanced: "5.4.6", Text: "Alias loop, or an alias with too many addresses", Reason: smtp.MailLoop}
	noSuchList  = smtp.Reply{Code: 550, Enhanced: "5.1.1", Text: "List unknown"}
	notRelayed  = smtp.Reply{Code: 554, Enhanced: "5.7.1", Text: "Relay access denied", Reason: smtp.RelayDenied}
	mailboxFull = smtp.Reply{Code: 452, Enhanced: "4.2.2", Text: "Mailbox full"}
	mailboxOver = smtp.Reply{Code: 552, Enhanced: "5.2.2", Text: "Mailbox full"}
	mailboxOff  = smtp.Reply{Code: 550, Enhanced: "5.2.1", Text: "Mailbox disabled, not accepting messages"}
	oneByOne    = smtp.Reply{Code: 452, Enhanced: "4.5.3", Text: "Send to this recipient in a transaction of its own"}
	diskFull    = smtp.Reply{Code: 452, Enhanced: "4.3.1", Text: "Insufficient system storage", Reason: smtp.DiskFull}
	overBudget  = smtp.Reply{Code: 452, Enhanced: "4.3.1", Text: "Insufficient system resources, try again later"}
	failed      = smtp.Reply{Code: 451, Enhanced: "4.3.0", Text: "Local error in processing, try again later"}
	ambiguous   = smtp.Reply{Code: 553, Enhanced: "5.1.4", Text: "User ambiguous"}
	unsaid      = smtp.Reply{Code: 252, Enhanced: "2.5.2", Text: "Cannot verify the user, but will accept the message and attempt delivery"}
)

// Answer answers the open question. Without one it does nothing: the session
// was closed while the answer was on its way.
func (s *Session) Answer(a Answer, e *Effects) {
	q := s.asking
	if q == AskNothing || s.phase == Closed {
		return
	}
	s.asking = AskNothing
	r := answers[q][min(a.Verdict, Shutdown)]
	switch {
	case a.Verdict == Shutdown:
		s.close(s.farewell(), e)
		return
	case a.Verdict == Refused && a.Reply != nil && a.Reply.Refuses():
		r = a.Reply
		if r.Code == 421 {
			s.decline(r, e)
			s.hangUp(e)
			return
		}
	case r == nil, q == AskStored && a.Verdict == Yes && a.Receipt.ID() == 0:
		r = &failed // no receipt, no 250
	}
	switch q {
	case AskTransaction:
		s.answerMail(r, e)
	case AskRecipient:
		s.answerRcpt(r, a.Verdict == Here, e)
	case AskStored:
		s.answerStored(r, a, e)
	case AskAuth:
		s.answerAuth(r, a, e)
	case AskClient:
		s.answerClient(r, e)
	case AskTLS:
		s.answerTLS(a.Verdict, r, e)
	default:
		s.answerNames(r, a.Names, e)
	}
}

// turnDown replies r, the answer to a verdict other than Yes. Faults of the peer are counted.
func (s *Session) turnDown(r *smtp.Reply, e *Effects) {
	if r.Code >= 500 {
		s.refuse(r, e)
	} else {
		s.decline(r, e)
	}
}

func (s *Session) answerMail(r *smtp.Reply, e *Effects) {
	if r.Refuses() {
		reverse, n := keepPath(e, s.tx.Mail.From), len(e.Refused)
		s.tx.reset()
		s.turnDown(r, e)
		e.Refused[n].Reverse = reverse
		s.leave(e)
		return
	}
	s.messages++
	start := s.counted(e)
	e.Reply = e.begin(r)
	if s.tx.Mail.From.IsNull() {
		e.Reply = append(e.Reply, "<>"...)
	}
	e.Reply = s.tx.Mail.From.AppendTo(e.Reply)
	e.Reply = smtp.EndLine(append(e.Reply, r.Text...), start)
	s.enter(Mailed)
}

// answerRcpt names a recipient of ours by its local part, as sendmail does: "250
// 2.1.5 jsmith... Recipient ok", "550 5.1.1 jones... User unknown".
func (s *Session) answerRcpt(r *smtp.Reply, here bool, e *Effects) {
	to := s.tx.Recipients[len(s.tx.Recipients)-1].To
	if r.Refuses() {
		if r == &noSuchUser || r == &aliasLoop || r == &mailboxOff {
			named := *r
			named.Text = string(to.AppendLocalTo(nil)) + "... " + r.Text
			r = &named
		}
		forward, n := keepPath(e, to), len(e.Refused)
		s.tx.withdraw()
		s.turnDown(r, e)
		e.Refused[n].Forward = forward
		return
	}
	s.tx.accept()
	start := s.counted(e)
	e.Reply = e.begin(r)
	if here {
		e.Reply = to.AppendLocalTo(e.Reply)
	} else {
		e.Reply = to.AppendTo(e.Reply)
	}
	e.Reply = smtp.EndLine(append(e.Reply, r.Text...), start)
	s.enter(Addressed)
}

func (s *Session) answerStored(r *smtp.Reply, a Answer, e *Effects) {
	if r.Refuses() {
		s.turnDown(r, e)
		s.endTransaction(e)
		return
	}
	s.errors = 0
	start := s.counted(e)
	if s.verbose {
		start = s.appendSummary(e)
	}
	e.Reply = a.Receipt.ID().AppendTo(e.begin(r))
	e.Reply = smtp.EndLine(append(e.Reply, r.Text...), start)
	s.tx.drafted = false // it is a message now
	s.endTransaction(e)
}

// appendSummary describes the message that arrived, as the first line of the reply in verbose
// mode, and returns where the next begins.
func (s *Session) appendSummary(e *Effects) int {
	start := len(e.Reply)
	b := stored.BeginMore(e.Reply)
	b = strconv.AppendInt(b, s.tx.scan.Size, 10)
	b = strconv.AppendInt(append(b, " octets for recipients: "...), int64(len(s.tx.Recipients)), 10)
	b = strconv.AppendInt(append(b, ", hops before: "...), int64(s.tx.Head.Hops()), 10)
	e.Reply = smtp.EndLine(b, start)
	return len(e.Reply)
}

// answerNames writes the reply to VRFY and EXPN: a line for each name.
func (s *Session) answerNames(r *smtp.Reply, names []string, e *Effects) {
	switch {
	case r == &ambiguous:
		start := len(e.Reply)
		e.Reply = r.AppendMore(e.Reply, r.Text)
		s.appendNames(r, names, e)
		e.Refused = append(e.Refused, Refusal{Verb: s.verb, Reason: r.Because(), From: start, To: len(e.Reply)})
	case r.Refuses():
		s.turnDown(r, e)
	case len(names) == 0:
		s.accept(&unsaid, e)
	default:
		s.counted(e)
		s.appendNames(r, names, e)
	}
	s.leave(e)
}

func (s *Session) appendNames(r *smtp.Reply, names []string, e *Effects) {
	for i, name := range names {
		if i < len(names)-1 {
			e.Reply = r.AppendMore(e.Reply, name)
			continue
		}
		start := len(e.Reply)
		e.Reply = smtp.EndLine(append(e.begin(r), name...), start)
	}
}
