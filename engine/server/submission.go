package server

import (
	"fmt"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/config"
	"postrider/engine/mail/allowance"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// listenSubmission binds the addresses where accounts hand in mail (RFC 6409): SMTP as
// elsewhere, but nothing without a login. TLS is as for clients that come again.
func (srv *Server) listenSubmission() error {
	c := &srv.cfg.Submission
	for _, addr := range c.Listen {
		port := srv.smtpPort(config.SMTPListener{Addr: addr, Auth: config.AuthRequired}, nil)
		if srv.tls != nil {
			port.StartTLS = srv.tls.Configs.SMTPS
		}
		l, err := srv.bind("submission", addr, srv.tooMany, srv.edge.ProxyFirst(port.open))
		if err != nil {
			return fmt.Errorf("submission.listen %s: %w", addr, err)
		}
		srv.submission = append(srv.submission, l)
	}
	for _, addr := range c.ListenTLS {
		port := srv.smtpPort(config.SMTPListener{Addr: addr, Auth: config.AuthRequired}, srv.tls.Configs.SMTPS)
		l, err := srv.bind("submissions", addr, nil, srv.edge.ProxyFirst(port.open))
		if err != nil {
			return fmt.Errorf("submission.listen_tls %s: %w", addr, err)
		}
		srv.submissions = append(srv.submissions, l)
	}
	return nil
}

// account is the account that has logged in; 0: none.
func (s *smtpConn) account() storage.AccountID {
	if s.m.Account() == "" {
		return 0
	}
	return s.login.signedIn.Account.ID
}

// booking is what a transaction has of its account's allowance.
type booking struct {
	account              storage.AccountID
	messages, recipients int
	at                   time.Time
}

// unbook gives back what was booked for a message that was not sent.
func (s *smtpConn) unbook() {
	if s.tx == nil || s.tx.booked.account == 0 {
		return
	}
	b := &s.tx.booked
	s.srv.sent.Return(b.account, b.at, b.messages, b.recipients)
	*b = booking{}
}

// mayMail answers AskTransaction: the governor's word, and for an account whether it
// may send this, now.
func (s *smtpConn) mayMail() smtpd.Answer {
	s.unbook() // of the transaction before
	v := s.mayBegin()
	if v != smtpd.Yes || s.account() == 0 {
		return smtpd.Answer{Verdict: v}
	}
	if !s.maySendAs(s.m.Transaction().Mail.From) {
		return smtpd.Answer{Verdict: smtpd.Refused, Reply: &smtp.Reply{Code: 553, Enhanced: "5.7.1",
			Text: "<" + string(s.tx.Reverse) + ">: Sender address rejected: not owned by user " + s.m.Account()}}
	}
	now := time.Now()
	if r := s.srv.sent.Message(s.account(), now); r != nil {
		return tooMuch(s.m.Account(), r)
	}
	s.tx.booked = booking{account: s.account(), messages: 1, at: now}
	return smtpd.Answer{Verdict: smtpd.Yes}
}

// mayAddress answers AskRecipient.
func (s *smtpConn) mayAddress() smtpd.Answer {
	if s.account() == 0 {
		return smtpd.Answer{Verdict: s.recipient()}
	}
	b := &s.tx.booked
	if r := s.srv.sent.Recipient(b.account, b.at); r != nil {
		return tooMuch(s.m.Account(), r)
	}
	v := s.recipient()
	if v == smtpd.Yes || v == smtpd.Here {
		b.recipients++
	} else {
		s.srv.sent.Return(b.account, b.at, 0, 1)
	}
	return smtpd.Answer{Verdict: v}
}

// tooMuch is the refusal to an account that has used up its allowance.
func tooMuch(account string, r *allowance.Refusal) smtpd.Answer {
	return smtpd.Answer{Verdict: smtpd.Refused, Reply: &smtp.Reply{Code: 450, Enhanced: "4.7.1",
		Text: fmt.Sprintf("%s has sent to its limit of %d %s an hour, try again after %s", account, r.Limit, r.What, r.Again.UTC().Format("15:04 UTC"))}}
}

// maySendAs says whether the account may have from as its reverse-path. The null path
// is everybody's: receipts that mail readers send have it (RFC 8098 section 2.1).
func (s *smtpConn) maySendAs(from smtp.ReversePath) bool {
	return s.srv.cfg.Submission.AnySender || from.IsNull() || s.srv.router.Owns(s.account(), string(s.tx.Reverse))
}
