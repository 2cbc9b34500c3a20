package smtpd

// Phase is the state of a session. Only Session.enter changes it.
type Phase uint8

// The phases.
const (
	Connected      Phase = iota // the peer has not sent HELO or EHLO
	Greeted                     // HELO or EHLO was taken; no transaction
	Mailed                      // MAIL was taken; no recipient yet
	Addressed                   // there are recipients
	Chunked                     // a BDAT was taken, the last is still to come
	InData                      // message octets after DATA
	InChunk                     // octets after BDAT
	Authenticating              // responses after AUTH
	Securing                    // the handshake of TLS; Secured ends it
	Closed                      // nothing is read any more
	phases
)

// enter is the one place where the phase changes.
func (s *Session) enter(p Phase) { s.phase = p }

// inTransaction reports whether a transaction is open.
func (p Phase) inTransaction() bool { return p >= Mailed && p <= InChunk }
