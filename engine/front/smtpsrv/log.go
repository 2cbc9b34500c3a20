package smtpsrv

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/host/maillog"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// reject counts and logs a refusal in the form of Postfix. reverse and forward are nil where
// they are not known.
func (s *session) reject(verb string, why smtp.Reason, reply, reverse, forward []byte) {
	s.service.Stats.Refused.Add(1)
	s.state.refused[why].Add(1)
	if len(reply) > 0 && reply[0] == '4' {
		s.service.Stats.ForNow.Add(1)
	}
	log := s.service.log
	if !s.Logs() || bytes.HasPrefix(reply, []byte("535 ")) { // package login logs wrong passwords
		return
	}
	verb = strings.ToUpper(verb)
	facts := [9]slog.Attr{maillog.SMTPD, slog.String("id", "NOQUEUE"), slog.String("verb", verb), slog.String("client", s.Client())}
	line := append(facts[:4], slog.String("reply", rejection(verb, s.Client(), reply, reverse, forward)))
	if reverse != nil {
		line = append(line, slog.String("from", pathText(reverse)))
	}
	if forward != nil {
		line = append(line, slog.String("to", pathText(forward)))
	}
	proto := "SMTP"
	if s.m.Extended() {
		proto = "ESMTP"
	}
	line = append(line, slog.String("proto", proto), slog.String("helo", harmless(s.m.Helo())))
	log.Info(maillog.Reject, line...)
}

// rejection is a reply as Postfix logs it: code, status, what is rejected, and the reason.
// The tools that read logs, such as fail2ban, know these words.
func rejection(verb, client string, reply, reverse, forward []byte) string {
	text := string(bytes.TrimRight(reply, "\r\n"))
	if at := strings.LastIndex(text, "\r\n"); at >= 0 {
		text = text[at+2:] // the last line of several has the reason
	}
	code, reason, _ := strings.Cut(text, " ")
	if status, rest, ok := strings.Cut(reason, " "); ok && strings.Count(status, ".") == 2 {
		code, reason = code+" "+status, rest
	}
	about := ""
	switch {
	case verb == "CONNECT", verb == "XCLIENT":
		about = "<" + client + ">: Client host rejected: "
	case forward != nil:
		if _, rest, ok := strings.Cut(reason, "... "); ok {
			reason = rest // the reply names the local part
		}
		about = "<" + pathText(forward) + ">: "
		if !strings.HasPrefix(reason, "Relay access denied") {
			about += "Recipient address rejected: "
		}
	case verb == "MAIL" && reverse != nil:
		if !strings.Contains(reason, "Sender address rejected") {
			about = "<" + pathText(reverse) + ">: Sender address rejected: "
		}
	case verb == "DATA" || verb == "BDAT":
		about = "<" + verb + ">: Data command rejected: "
	}
	return code + " " + about + reason
}

// pathText is a path with "?" for brackets of a quoted local part, which could end the
// brackets about it.
func pathText(path []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '<' || r == '>' {
			return '?'
		}
		return r
	}, string(path))
}

// harmless is the name that a client gave in HELO, with "?" for octets that could end the
// angle brackets about it or the line.
func harmless(helo []byte) string { return string(message.AppendName(nil, helo)) }

// keptRecords is the number of lines of one message for which a loop keeps the memory.
const keptRecords = 128

// log writes the life of a message: the client, the message, and where it went. A refusal is
// logged with its reply.
func (t *transaction) log() {
	s := t.session
	log, state := s.service.log, s.state
	if t.Refusal() != nil {
		return
	}
	if errors.Is(t.err, storage.ErrOverQuota) {
		log.Info("message from <"+string(t.Reverse)+"> not stored: "+t.err.Error(), maillog.Local)
		return
	}
	if t.err != nil {
		log.Fault("message from <"+string(t.Reverse)+"> not stored", t.err)
		return
	}
	if !log.On() {
		return
	}
	now := time.Now()
	id := slog.String("id", t.receipt.ID().String())
	rs := t.AppendLines(append(state.records[:0], s.clientRecord(now, id)), now, t.receipt.ID())
	log.All(rs)
	clear(rs)
	if state.records = rs; cap(rs) > keptRecords {
		state.records = nil
	}
}

// clientRecord has the client of a message and its login.
func (s *session) clientRecord(now time.Time, id slog.Attr) slog.Record {
	r := maillog.Record(now, maillog.Client, maillog.SMTPD, id, slog.String("client", s.Client()))
	if account := s.m.Account(); account != "" {
		r.AddAttrs(slog.String("sasl_method", s.auth.Attempt.Claim.Mechanism.String()), slog.String("sasl_username", account))
	}
	return r
}

// logDisconnect writes the last line of a session, with what it did.
func (s *session) logDisconnect(err error) {
	log := s.service.log
	if !s.Logs() {
		return
	}
	if why := maillog.Lost(s.Reason, err, s.Closing); why != "" {
		log.Info(why+" after "+phaseWords[s.m.Phase()]+" from "+s.Client(), maillog.SMTPD)
	}
	counts := s.m.Counts()
	log.Info(maillog.Disconnect, maillog.SMTPD, slog.String("client", s.Client()), slog.String("counts", string(counts.AppendTo(nil))))
}

// phaseWords tell after which command a session was.
var phaseWords = map[smtpd.Phase]string{
	smtpd.Connected: "CONNECT", smtpd.Greeted: "EHLO", smtpd.Mailed: "MAIL", smtpd.Addressed: "RCPT",
	smtpd.Authenticating: "AUTH", smtpd.Securing: "STARTTLS",
	smtpd.Chunked: "BDAT", smtpd.InData: "DATA", smtpd.InChunk: "BDAT", smtpd.Closed: "END",
}
