package sink

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Stage is the moment of a session that a fault is tied to.
type Stage uint8

// The stages. Greeting, Upgrade, Handshake and Quit belong to both protocols, User and
// the ones after it to POP3.
const (
	Greeting  Stage = iota
	Upgrade         // STARTTLS or STLS, before the reply
	Handshake       // after that reply
	Helo
	Mail
	Rcpt
	Data
	Dot // the end of data is there, its reply not
	Quit
	User
	Pass // or AUTH
	Stat
	List
	Uidl
	Retr
	Top
	Dele
	Body // half of a message is sent
	End  // all of it but the final dot
	stages
)

// dialect is the stages and actions of a protocol.
type dialect struct {
	stages  map[string]Stage
	actions map[string]action
	example string
}

// action is what a word for a fault does.
type action struct {
	code   int    // the code of an SMTP reply; 0: none
	status string // a POP3 status line up to the text; empty: none
	effect Effect
	lie    lie
	at     []Stage // where it makes sense; nil: everywhere
}

// lie is a way in which a POP3 answer is wrong.
type lie uint8

const (
	miscount  lie = 1 << iota // another number of octets
	noDot                     // the end of a multi-line answer is missing
	unstuffed                 // dots at the begin of lines are as they are in the message
)

// alone are the actions without an answer.
var alone = map[string]action{"reset": {effect: Reset}, "close": {effect: Close}, "silence": {effect: Silence}}

var smtpDialect = dialect{
	map[string]Stage{"greeting": Greeting, "starttls": Upgrade, "handshake": Handshake, "helo": Helo, "mail": Mail, "rcpt": Rcpt, "data": Data, "dot": Dot, "quit": Quit},
	map[string]action{
		"tempfail": {code: 451}, "permfail": {code: 550}, "full": {code: 452}, "busy": {code: 421, effect: Close}, "notls": {code: 454},
	},
	"tempfail-rcpt-after100",
}

// Rule is one fault: what, when, how often. It counts its own use.
type Rule struct {
	Text  string // as it was written
	Stage Stage

	action
	wait    time.Duration
	after   int64
	first   int64
	every   int64
	percent int

	seen  atomic.Int64 // times that the stage came
	Fired atomic.Int64 // times that the fault was played
}

// Grammar is the form of rules, for people.
const Grammar = `A rule is ACTION-STAGE, and then -afterN (not the first N times), -firstN (only these),
-everyN (each Nth time) or -pN (in N of 100, by chance), each at most once.
ACTION: tempfail (451), permfail (550), full (452), busy (421), notls (454), a code such
as 554, waitDURATION (wait250ms), reset, close, silence.
STAGE: greeting, starttls, handshake (after the reply to STARTTLS), helo, mail, rcpt, data,
dot (after the message came, before the reply), quit.`

// ParseRule reads a rule for SMTP such as "tempfail-rcpt-after100" (see [Grammar]).
func ParseRule(text string) (*Rule, error) { return parseRule(text, &smtpDialect) }

func parseRule(text string, d *dialect) (*Rule, error) {
	words := strings.Split(strings.ToLower(text), "-")
	bad := func(why string) (*Rule, error) {
		return nil, fmt.Errorf("fault %q: %s; expected ACTION-STAGE[-afterN|-firstN|-everyN|-pN], for example %s", text, why, d.example)
	}
	if len(words) < 2 {
		return bad("no stage")
	}
	r := &Rule{Text: text, percent: 100, every: 1, first: math.MaxInt64}
	if !r.act(words[0], d) {
		return bad(fmt.Sprintf("unknown action %q", words[0]))
	}
	var known bool
	if r.Stage, known = d.stages[words[1]]; !known {
		return bad(fmt.Sprintf("unknown stage %q", words[1]))
	}
	if r.at != nil && !slices.Contains(r.at, r.Stage) {
		return bad(fmt.Sprintf("%s is not possible at the stage %s", words[0], words[1]))
	}
	if r.Stage >= Body && r.status != "" || r.Stage == Handshake && (r.status != "" || r.code != 0) {
		return bad(fmt.Sprintf("no answer is sent at the stage %s: use waitDURATION, reset, close or silence", words[1]))
	}
	for _, word := range words[2:] {
		if !r.condition(word) {
			return bad(fmt.Sprintf("unknown condition %q", word))
		}
	}
	return r, nil
}

func (r *Rule) act(word string, d *dialect) bool {
	var known bool
	if r.action, known = d.actions[word]; known {
		return true
	}
	if r.action, known = alone[word]; known {
		return true
	}
	if rest, ok := strings.CutPrefix(word, "wait"); ok {
		var err error
		r.wait, err = time.ParseDuration(rest)
		return err == nil && r.wait > 0 && r.wait <= maxWait
	}
	code, err := strconv.Atoi(word)
	r.code = code
	if code == 421 {
		r.effect = Close
	}
	return err == nil && code >= 400 && code <= 599 && d == &smtpDialect
}

func (r *Rule) condition(word string) bool {
	name := strings.TrimRight(word, "0123456789")
	n, err := strconv.ParseInt(word[len(name):], 10, 32)
	if err != nil {
		return false
	}
	switch name {
	case "after":
		r.after = n
	case "first":
		r.first = n
	case "every":
		r.every = max(n, 1)
	case "p":
		r.percent = int(n)
		return n <= 100
	default:
		return false
	}
	return true
}

// fires reports whether the fault is played this time.
func (r *Rule) fires(random *rand.Rand) bool {
	n := r.seen.Add(1) - r.after
	if n <= 0 || n > r.first || n%r.every != 0 {
		return false
	}
	if r.percent < 100 && random.IntN(100) >= r.percent {
		return false
	}
	r.Fired.Add(1)
	return true
}

// maxWait bounds each wait of a sink.
const maxWait = time.Hour

// Wait is a distribution of waits.
type Wait struct {
	form string
	a, b float64 // nanoseconds; of lognormal, b is a factor
}

// ParseWait reads "20ms", "uniform:5ms-50ms" or "lognormal:20ms,2" (the median and
// the factor of one standard deviation).
func ParseWait(text string) (w Wait, err error) {
	form, rest, ok := strings.Cut(text, ":")
	parse := func(s string) float64 {
		d, perr := time.ParseDuration(s)
		if perr != nil || d < 0 || d > maxWait {
			err = fmt.Errorf("wait %q: %q is not a time up to an hour; use 20ms, uniform:5ms-50ms or lognormal:20ms,2", text, s)
		}
		return float64(d)
	}
	w.form = form
	switch {
	case !ok:
		w.form, w.a = "fixed", parse(text)
	case form == "uniform":
		low, high, _ := strings.Cut(rest, "-")
		w.a, w.b = parse(low), parse(high)
	case form == "lognormal":
		median, factor, _ := strings.Cut(rest, ",")
		w.a = parse(median)
		if w.b, _ = strconv.ParseFloat(factor, 64); !(w.b >= 1) && err == nil {
			err = fmt.Errorf("wait %q: invalid factor %q: expected 1 or more", text, factor)
		}
	default:
		err = fmt.Errorf("wait %q: unknown distribution %q; use 20ms, uniform:5ms-50ms or lognormal:20ms,2", text, form)
	}
	if err == nil && form == "uniform" && w.b < w.a {
		err = fmt.Errorf("wait %q: the second time is less than the first", text)
	}
	return w, err
}

// Draw takes one wait.
func (w Wait) Draw(random *rand.Rand) time.Duration {
	switch w.form {
	case "uniform":
		return time.Duration(w.a + random.Float64()*(w.b-w.a))
	case "lognormal":
		return time.Duration(min(w.a*math.Exp(random.NormFloat64()*math.Log(w.b)), float64(maxWait)))
	}
	return time.Duration(w.a)
}

// StageOf is the stage of a name in SMTP.
func StageOf(name string) (Stage, bool) {
	stage, ok := smtpDialect.stages[name]
	return stage, ok
}

// POP3StageOf is the stage of a name in POP3.
func POP3StageOf(name string) (Stage, bool) {
	stage, ok := pop3Dialect.stages[name]
	return stage, ok
}

// played is the sum of a stage's faults.
type played struct {
	wait time.Duration
	rule *Rule // the rule that answers, or ends the session; nil: the session goes on
	lies lie
}

// play plays a stage's faults: the rules for all, and the session's own.
func (s *Sink) play(w map[Stage]Wait, all, own []*Rule, stage Stage, chance func() *rand.Rand) (p played) {
	if wait, ok := w[stage]; ok {
		p.wait += wait.Draw(chance())
	}
	for _, list := range [2][]*Rule{all, own} {
		for _, r := range list {
			if r.Stage != stage || !r.fires(chance()) {
				continue
			}
			p.wait += r.wait
			p.lies |= r.lie
			if r.code == 0 && r.status == "" && r.effect == None {
				continue
			}
			if r.code == 0 && r.status == "" {
				s.counts[broken].Add(1)
			}
			p.rule = r
			return p
		}
	}
	return p
}
