package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"postrider/codec/message"
	"postrider/engine/edge/conn"
	"postrider/engine/host/maillog"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// mailLog says what happens in the shapes that operators know (package maillog
// makes the lines). Every line of a message's life has its queue id.
type mailLog struct{ *slog.Logger }

var (
	smtpDaemon = slog.String("daemon", "smtpd")
	pop3Daemon = slog.String("daemon", "pop3d")
	webDaemon  = slog.String("daemon", "web")
	localAgent = slog.String("daemon", "local")
)

var noContext = context.Background()

// info logs without asking who calls, which would cost more than the line.
func (l mailLog) info(msg string, as ...slog.Attr) {
	if l.on() {
		_ = l.Handler().Handle(noContext, record(time.Now(), msg, as...))
	}
}

func record(at time.Time, msg string, as ...slog.Attr) slog.Record {
	r := slog.NewRecord(at, slog.LevelInfo, msg, 0)
	r.AddAttrs(as...)
	return r
}

// all logs records that belong together, in one step where the handler can do it.
func (l mailLog) all(rs []slog.Record) {
	if h, ok := l.Handler().(*maillog.Handler); ok {
		_ = h.HandleAll(rs)
		return
	}
	for _, r := range rs {
		_ = l.Handler().Handle(noContext, r)
	}
}

func (l mailLog) on() bool { return l.Enabled(noContext, slog.LevelInfo) }

// reject logs a refusal of a command, as Postfix does for policy and lookup.
func (l mailLog) reject(s *conn.Session, verb string, reply []byte, helo []byte, extended bool) {
	if !l.on() {
		return
	}
	proto := "SMTP"
	if extended {
		proto = "ESMTP"
	}
	text := bytes.TrimRight(reply, "\r\n")
	l.info("NOQUEUE: reject: "+verb+" from "+s.Client()+": "+string(text)+
		"; proto="+proto+" helo=<"+harmless(helo)+">", smtpDaemon)
}

// harmless is what a client called itself, with "?" for what could end the angle
// brackets about it or the line.
func harmless(helo []byte) string { return string(message.AppendName(nil, helo)) }

// fault logs a failure on our side; what says what did not work.
func (l mailLog) fault(what string, err error) {
	l.LogAttrs(noContext, slog.LevelError, what+": "+err.Error())
}

// panicked logs a panic of a goroutine of ours and returns it as an error.
func (l mailLog) panicked(where string, p any) error {
	err := fmt.Errorf("BUG: panic in %s: %v", where, p)
	l.LogAttrs(noContext, slog.LevelError, err.Error(), slog.String("stack", string(debug.Stack())))
	return err
}

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
		if errors.Is(t.err, storage.ErrOverQuota) {
			srv.log.info("message from <"+string(t.Reverse)+"> not stored: "+t.err.Error(), localAgent)
			return
		}
		srv.log.fault("message from <"+string(t.Reverse)+"> not stored", t.err)
		return
	}
	srv.stats.messages.Add(1)
	srv.stats.deliveries.Add(int64(len(t.Places.Targets)))
	srv.stats.octetsIn.Add(t.Size())
	if !srv.log.on() {
		return
	}
	now := time.Now()
	id := slog.String("id", t.receipt.ID().String())
	rs := append(s.shard.records[:0],
		clientRecord(now, s, id),
		record(now, "", smtpDaemon, id, slog.String("message-id", string(s.m.Transaction().Head.MessageID()))),
		record(now, "from=<"+string(t.Reverse)+">, size="+strconv.FormatInt(t.Size(), 10)+
			", nrcpt="+strconv.Itoa(t.Paths)+" (queue active)", smtpDaemon, id))
	delay := strconv.FormatFloat(now.Sub(t.Arrival).Seconds(), 'g', 2, 64)
	for i := range t.Places.Targets {
		a, err := srv.store.Account(t.Places.Targets[i].Account)
		if err != nil {
			continue // removed in this very moment
		}
		rs = append(rs, record(now, "to=<"+a.Name+"@"+a.Domain+">, relay=local, delay="+delay+
			", dsn=2.0.0, status=sent (delivered to maildrop)", localAgent, id))
	}
	if len(t.Places.Relayed) == 0 {
		rs = append(rs, record(now, "removed", localAgent, id))
	}
	srv.log.all(rs)
	clear(rs)
	if s.shard.records = rs; cap(rs) > keptRecords {
		s.shard.records = nil
	}
}

// clientRecord has the client of a message and its login.
func clientRecord(now time.Time, s *smtpConn, id slog.Attr) slog.Record {
	r := record(now, "", smtpDaemon, id, slog.String("client", s.Client()))
	if account := s.m.Account(); account != "" {
		r.AddAttrs(slog.String("sasl_method", s.login.attempt.Claim.Mechanism.String()), slog.String("sasl_username", account))
	}
	return r
}

// disconnectSMTP is the last line of a session, with what it did.
func (l mailLog) disconnectSMTP(s *smtpConn, err error) {
	if !l.on() {
		return
	}
	if why := lost(s.Reason, err, s.Closing); why != "" {
		l.info(why+" after "+phaseWords[s.m.Phase()]+" from "+s.Client(), smtpDaemon)
	}
	counts := s.m.Counts()
	l.info("disconnect from "+s.Client()+" "+string(counts.AppendTo(nil)), smtpDaemon)
}

// phaseWords say where in the dialogue a session was: after which command.
var phaseWords = map[smtpd.Phase]string{
	smtpd.Connected: "CONNECT", smtpd.Greeted: "EHLO", smtpd.Mailed: "MAIL", smtpd.Addressed: "RCPT",
	smtpd.Authenticating: "AUTH", smtpd.Securing: "STARTTLS",
	smtpd.Chunked: "BDAT", smtpd.InData: "DATA", smtpd.InChunk: "BDAT", smtpd.Closed: "END",
}

// lost is the word for a session that did not end with a goodbye.
func lost(reason string, err error, closing bool) string {
	switch {
	case reason != "":
		return reason
	case closing:
		return ""
	case err != nil:
		return "lost connection (" + err.Error() + ")"
	}
	return "lost connection"
}

// disconnectPOP3 is the last line of a POP3 session, in Dovecot's shape.
func (l mailLog) disconnectPOP3(s *pop3Conn, err error) {
	if !l.on() {
		return
	}
	why := lost(s.Reason, err, s.Closing)
	if why == "" {
		why = "Logged out"
	}
	l.info("Disconnected: "+why+" "+string(s.m.Counts().AppendTo(nil)), pop3Daemon,
		slog.String("user", "<"+s.user+">"), slog.String("rip", s.Addr))
}
