package smtpd

import (
	"strconv"

	"postrider/codec/smtp"
)

// countedVerbs is the number of verbs that are counted; the others count as
// unknown.
const countedVerbs = smtp.Etrn

// Count is how often a command was given, and how often it succeeded.
type Count struct{ Good, All uint32 }

// Counts are the commands of a session by verb.
type Counts [countedVerbs]Count

func countedAs(v smtp.Verb) smtp.Verb {
	if v >= countedVerbs {
		return smtp.Unknown
	}
	return v
}

// AppendTo appends the counts as the last part of a log line: "ehlo=1 mail=1
// rcpt=2/3 data=1 quit=1 commands=6/7", where 2/3 means that 2 of 3 succeeded.
func (c *Counts) AppendTo(dst []byte) []byte {
	var sum Count
	for v := smtp.Helo; v < countedVerbs; v++ {
		dst = c[v].appendTo(dst, v.String(), &sum)
	}
	dst = c[smtp.Unknown].appendTo(dst, "unknown", &sum)
	dst = sum.appendTo(dst, "commands", new(Count))
	if sum.All == 0 {
		return append(dst, "commands=0"...)
	}
	return dst[:len(dst)-1]
}

func (c Count) appendTo(dst []byte, name string, sum *Count) []byte {
	if c.All == 0 {
		return dst
	}
	sum.Good += c.Good
	sum.All += c.All
	dst = append(append(dst, name...), '=')
	dst = strconv.AppendUint(dst, uint64(c.Good), 10)
	if c.Good != c.All {
		dst = strconv.AppendUint(append(dst, '/'), uint64(c.All), 10)
	}
	return append(dst, ' ')
}

// say appends the reply r.
func (s *Session) say(r *smtp.Reply, e *Effects) {
	e.count(r)
	e.Reply = r.AppendTo(e.Reply)
}

// accept appends r, the good end of a command.
func (s *Session) accept(r *smtp.Reply, e *Effects) {
	s.counted(e)
	s.say(r, e)
}

// counted notes that the command succeeded, and returns where its reply begins.
func (s *Session) counted(e *Effects) (start int) {
	s.tally[countedAs(s.verb)].Good++
	return len(e.Reply)
}

// sayHost appends r with the host's name before its text.
func (s *Session) sayHost(r *smtp.Reply, e *Effects) {
	start := len(e.Reply)
	e.Reply = append(e.begin(r), s.cfg.Hostname...)
	e.Reply = smtp.EndLine(append(e.Reply, r.Text...), start)
}

// refuse appends r, a refusal for a fault of the peer, and closes the session when
// there were too many.
func (s *Session) refuse(r *smtp.Reply, e *Effects) {
	s.decline(r, e)
	s.errors++
	if s.cfg.MaxErrors > 0 && int(s.errors) >= s.cfg.MaxErrors {
		s.close(&tooManyErrors, e)
	}
}

// decline appends r, a refusal that is not the peer's fault. In verbose mode it
// includes the command's syntax.
func (s *Session) decline(r *smtp.Reply, e *Effects) {
	start := len(e.Reply)
	if usage := commands[s.verb].help; s.verbose && usage != "" {
		e.Reply = r.AppendMore(e.Reply, usage)
	}
	s.say(r, e)
	e.Refused = append(e.Refused, Refusal{Verb: s.verb, Reason: r.Because(), From: start, To: len(e.Reply)})
	if s.phase.inTransaction() {
		e.Refused[len(e.Refused)-1].Reverse = keepPath(e, s.tx.Mail.From)
	}
}

// keepPath keeps the text of a path for the log.
func keepPath[P interface{ AppendTo([]byte) []byte }](e *Effects, p P) []byte {
	start := len(e.paths)
	e.paths = append(p.AppendTo(e.paths), ' ') // the blank: also the null path is not nil
	return e.paths[start : len(e.paths)-1]
}
