package smtpsrv

import (
	"bytes"
	"log/slog"
	"strconv"
	"time"

	"postrider/codec/message"
	"postrider/engine/host/maillog"
	"postrider/engine/protocol/smtpd"
)

// reject counts and logs a refusal, as Postfix does for policy and lookup.
func (s *session) reject(verb string, reply, helo []byte, extended bool) {
	s.service.Stats.Refused.Add(1)
	log := s.service.log
	if !log.On() {
		return
	}
	proto := "SMTP"
	if extended {
		proto = "ESMTP"
	}
	text := bytes.TrimRight(reply, "\r\n")
	log.Info("NOQUEUE: reject: "+verb+" from "+s.Client()+": "+string(text)+
		"; proto="+proto+" helo=<"+harmless(helo)+">", maillog.SMTPD)
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
	if t.err != nil {
		log.Fault("message from <"+string(t.Reverse)+"> not stored", t.err)
		return
	}
	if !log.On() {
		return
	}
	now := time.Now()
	id := slog.String("id", t.receipt.ID().String())
	rs := append(state.records[:0],
		s.clientRecord(now, id),
		maillog.Record(now, "", maillog.SMTPD, id, slog.String("message-id", string(s.m.Transaction().Head.MessageID()))),
		maillog.Record(now, "from=<"+string(t.Reverse)+">, size="+strconv.FormatInt(t.Size(), 10)+
			", nrcpt="+strconv.Itoa(t.Paths)+" (queue active)", maillog.SMTPD, id))
	delay := strconv.FormatFloat(now.Sub(t.Arrival).Seconds(), 'g', 2, 64)
	for i := range t.Places.Targets {
		a, err := s.service.store.Account(t.Places.Targets[i].Account)
		if err != nil {
			continue // removed in this very moment
		}
		rs = append(rs, maillog.Record(now, "to=<"+a.Name+"@"+a.Domain+">, relay=local, delay="+delay+
			", dsn=2.0.0, status=sent (delivered to maildrop)", maillog.Local, id))
	}
	if len(t.Places.Relayed) == 0 {
		rs = append(rs, maillog.Record(now, "removed", maillog.Local, id))
	}
	log.All(rs)
	clear(rs)
	if state.records = rs; cap(rs) > keptRecords {
		state.records = nil
	}
}

// clientRecord has the client of a message and its login.
func (s *session) clientRecord(now time.Time, id slog.Attr) slog.Record {
	r := maillog.Record(now, "", maillog.SMTPD, id, slog.String("client", s.Client()))
	if account := s.m.Account(); account != "" {
		r.AddAttrs(slog.String("sasl_method", s.auth.attempt.Claim.Mechanism.String()), slog.String("sasl_username", account))
	}
	return r
}

// logDisconnect writes the last line of a session, with what it did.
func (s *session) logDisconnect(err error) {
	log := s.service.log
	if !log.On() {
		return
	}
	if why := maillog.Lost(s.Reason, err, s.Closing); why != "" {
		log.Info(why+" after "+phaseWords[s.m.Phase()]+" from "+s.Client(), maillog.SMTPD)
	}
	counts := s.m.Counts()
	log.Info("disconnect from "+s.Client()+" "+string(counts.AppendTo(nil)), maillog.SMTPD)
}

// phaseWords tell after which command a session was.
var phaseWords = map[smtpd.Phase]string{
	smtpd.Connected: "CONNECT", smtpd.Greeted: "EHLO", smtpd.Mailed: "MAIL", smtpd.Addressed: "RCPT",
	smtpd.Authenticating: "AUTH", smtpd.Securing: "STARTTLS",
	smtpd.Chunked: "BDAT", smtpd.InData: "DATA", smtpd.InChunk: "BDAT", smtpd.Closed: "END",
}
