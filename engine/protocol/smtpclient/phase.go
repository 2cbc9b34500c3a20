package smtpclient

// phase is what the next reply will be about. Only Session.enter and the two
// cursors of a transaction change it.
type phase uint8

const (
	greeting   phase = iota // the peer's first word
	hello                   // EHLO
	oldHello                // HELO
	encrypting              // STARTTLS
	securing                // none is due: the caller makes the TLS handshake
	authing                 // AUTH and what belongs to it
	idle                    // no reply is due; a transaction may begin
	resetting               // RSET
	mailing                 // MAIL
	adding                  // RCPT
	starting                // DATA
	streaming               // none is due: the caller sends the message
	ending                  // the end of the message
	voiding                 // the end of a message without recipients
	quitting                // QUIT
	closed
	phases
)

// stages has for each phase its name in texts: as what a reply is about, and as what
// the session was doing; and what is waited for.
var stages = [phases]struct {
	verb, doing string
	wait        Wait
}{
	greeting:   {"greeting", "receiving the initial server greeting", WaitGreeting},
	hello:      {"EHLO", "performing the EHLO handshake", WaitCommand},
	oldHello:   {"HELO", "performing the HELO handshake", WaitCommand},
	encrypting: {"STARTTLS", "performing the STARTTLS handshake", WaitCommand},
	securing:   {"STARTTLS", "performing the TLS handshake", WaitCommand},
	authing:    {"AUTH", "authenticating", WaitCommand},
	idle:       {"", "idle", WaitNothing},
	resetting:  {"RSET", "sending RSET", WaitCommand},
	mailing:    {"MAIL FROM", "sending MAIL FROM", WaitCommand},
	adding:     {"RCPT TO", "sending RCPT TO", WaitCommand},
	starting:   {"DATA", "sending DATA command", WaitDataInit},
	streaming:  {"message body", "sending message body", WaitDataBlock},
	ending:     {"end of DATA", "sending end of data -- message may be sent more than once", WaitDataDone},
	voiding:    {"end of DATA", "sending end of data", WaitDataDone},
	quitting:   {"QUIT", "sending QUIT", WaitCommand},
}

// place is a place in the commands of a transaction: RSET if the last one failed,
// MAIL, a RCPT for each recipient that is undecided, DATA.
type place struct {
	phase phase
	rcpt  int // which one, when adding
}

// after is the place of the next command.
func (s *Session) after(p place) place {
	switch p.phase {
	case resetting:
		return place{phase: mailing}
	case mailing:
		return s.addingFrom(0)
	case adding:
		return s.addingFrom(p.rcpt + 1)
	}
	return place{phase: streaming}
}

// addingFrom is the place of the first recipient from i on that has not been
// decided, or that of DATA. A recipient is decided before it is sent, or when its
// reply has come: so both cursors pass over the same ones.
func (s *Session) addingFrom(i int) place {
	for ; i < len(s.results); i++ {
		if s.results[i].Verdict == Undecided {
			return place{adding, i}
		}
	}
	return place{phase: starting}
}
