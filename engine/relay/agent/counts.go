package agent

import "sync/atomic"

// Where is where a recipient's mail goes.
type Where uint8

// The values of Where.
const (
	ToOtherHosts Where = iota
	ToMaildrops        // on this host, out of the queue
	Wheres             // how many there are
)

// Outcome is the outcome of an attempt for a recipient.
type Outcome uint8

// The outcomes, in the words of the log.
const (
	Sent Outcome = iota
	Deferred
	Bounced
	Expired
	Outcomes // how many there are
)

var outcomeWords = [Outcomes]string{Sent: "sent", Deferred: "deferred", Bounced: "bounced", Expired: "expired"}

// String is the outcome as the log has it.
func (o Outcome) String() string { return outcomeWords[o] }

// Subjects is how many second parts of an enhanced status code are told apart: 0 to 7, as RFC
// 3463 section 3 has them, and all others together.
const Subjects = 9

// Results count the outcomes by the class and the subject of their status. A status comes from
// another host, so that all of it that nothing is known of counts as one.
type Results [Wheres][Outcomes][3][Subjects]atomic.Int64

// Classes are the first parts of an enhanced status code, in the order of Results.
const Classes = "245"

// add counts an outcome.
func (r *Results) add(to Where, o Outcome, status string) {
	class, subject := 1, Subjects-1 // without a status: 4, and a subject that is not known
	if o == Sent {
		class = 0
	}
	if len(status) >= 5 && status[1] == '.' && status[3] == '.' {
		switch status[0] {
		case '2':
			class = 0
		case '4':
			class = 1
		case '5':
			class = 2
		}
		if s := status[2]; '0' <= s && s < '0'+Subjects-1 {
			subject = int(s - '0')
		}
	}
	r[to][o][class][subject].Add(1)
}

// count counts the outcome for a recipient.
func (s *Stats) count(to Where, o Outcome, status string) {
	s.Results.add(to, o, status)
	switch o {
	case Sent:
		s.Sent.Add(1)
	case Deferred:
		s.Deferred.Add(1)
	case Bounced:
		s.Bounced.Add(1)
	case Expired:
		s.Expired.Add(1)
	}
}
