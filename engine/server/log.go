package server

import (
	"bytes"
	"log/slog"
	"strconv"
	"time"

	"postrider/codec/message"
	"postrider/engine/edge/conn"
	"postrider/engine/host/maillog"
	"postrider/engine/protocol/smtpd"
)

// reject logs a refusal of a command, as Postfix does for policy and lookup.
func reject(l maillog.Log, s *conn.Session, verb string, reply []byte, helo []byte, extended bool) {
	if !l.On() {
		return
	}
	proto := "SMTP"
	if extended {
		proto = "ESMTP"
	}
	text := bytes.TrimRight(reply, "\r\n")
	l.Info("NOQUEUE: reject: "+verb+" from "+s.Client()+": "+string(text)+
		"; proto="+proto+" helo=<"+harmless(helo)+">", maillog.SMTPD)
}

// harmless is what a client called itself, with "?" for what could end the angle
// brackets about it or the line.
func harmless(helo []byte) string { return string(message.AppendName(nil, helo)) }

// keptRecords is for how many lines of one message a loop keeps the memory.
const keptRecords = 128

// log writes the life of a message: who sent it, what it is, where it went.
func (t *transaction) log(s *smtpConn) {
	srv := s.srv
	if t.Refusal() != nil {
		return // the reply is logged
	}
	if t.err != nil {
		srv.stats.refused.Add(1)
		srv.log.Fault("message from <"+string(t.Reverse)+"> not stored", t.err)
		return
	}
	srv.stats.messages.Add(1)
	srv.stats.deliveries.Add(int64(len(t.Places.Targets)))
	srv.stats.octetsIn.Add(t.Size())
	if !srv.log.On() {
		return
	}
	now := time.Now()
	id := slog.String("id", t.receipt.ID().String())
	rs := append(s.shard.records[:0],
		clientRecord(now, s, id),
		maillog.Record(now, "", maillog.SMTPD, id, slog.String("message-id", string(s.m.Transaction().Head.MessageID()))),
		maillog.Record(now, "from=<"+string(t.Reverse)+">, size="+strconv.FormatInt(t.Size(), 10)+
			", nrcpt="+strconv.Itoa(t.Paths)+" (queue active)", maillog.SMTPD, id))
	delay := strconv.FormatFloat(now.Sub(t.Arrival).Seconds(), 'g', 2, 64)
	for i := range t.Places.Targets {
		a, err := srv.store.Account(t.Places.Targets[i].Account)
		if err != nil {
			continue // removed in this very moment
		}
		rs = append(rs, maillog.Record(now, "to=<"+a.Name+"@"+a.Domain+">, relay=local, delay="+delay+
			", dsn=2.0.0, status=sent (delivered to maildrop)", maillog.Local, id))
	}
	if len(t.Places.Relayed) == 0 {
		rs = append(rs, maillog.Record(now, "removed", maillog.Local, id))
	}
	srv.log.All(rs)
	clear(rs)
	if s.shard.records = rs; cap(rs) > keptRecords {
		s.shard.records = nil
	}
}

// clientRecord has the client of a message and its login.
func clientRecord(now time.Time, s *smtpConn, id slog.Attr) slog.Record {
	r := maillog.Record(now, "", maillog.SMTPD, id, slog.String("client", s.Client()))
	if account := s.m.Account(); account != "" {
		r.AddAttrs(slog.String("sasl_method", s.login.attempt.Claim.Mechanism.String()), slog.String("sasl_username", account))
	}
	return r
}

// disconnectSMTP is the last line of a session, with what it did.
func disconnectSMTP(l maillog.Log, s *smtpConn, err error) {
	if !l.On() {
		return
	}
	if why := maillog.Lost(s.Reason, err, s.Closing); why != "" {
		l.Info(why+" after "+phaseWords[s.m.Phase()]+" from "+s.Client(), maillog.SMTPD)
	}
	counts := s.m.Counts()
	l.Info("disconnect from "+s.Client()+" "+string(counts.AppendTo(nil)), maillog.SMTPD)
}

// phaseWords say where in the dialogue a session was: after which command.
var phaseWords = map[smtpd.Phase]string{
	smtpd.Connected: "CONNECT", smtpd.Greeted: "EHLO", smtpd.Mailed: "MAIL", smtpd.Addressed: "RCPT",
	smtpd.Authenticating: "AUTH", smtpd.Securing: "STARTTLS",
	smtpd.Chunked: "BDAT", smtpd.InData: "DATA", smtpd.InChunk: "BDAT", smtpd.Closed: "END",
}

// disconnectPOP3 is the last line of a POP3 session, in Dovecot's shape.
func disconnectPOP3(l maillog.Log, s *pop3Conn, err error) {
	if !l.On() {
		return
	}
	why := maillog.Lost(s.Reason, err, s.Closing)
	if why == "" {
		why = "Logged out"
	}
	l.Info("Disconnected: "+why+" "+string(s.m.Counts().AppendTo(nil)), maillog.POP3D,
		slog.String("user", "<"+s.user+">"), slog.String("rip", s.Addr))
}
