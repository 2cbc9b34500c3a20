package sink

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Stage is the moment of a session that a fault is tied to.
type Stage uint8

// The stages.
const (
	Greeting Stage = iota
	Helo
	Mail
	Rcpt
	Data
	Dot // the end of data is there, its reply not
	Quit
	stages
)

var stageNames = [stages]string{"greeting", "helo", "mail", "rcpt", "data", "dot", "quit"}

// Rule is one fault: what, when, how often. It counts its own use.
type Rule struct {
	Text  string // as it was written
	Stage Stage

	code    int // reply; 0: none
	effect  Effect
	wait    time.Duration
	after   int64
	first   int64
	every   int64
	percent int

	seen  atomic.Int64 // times that the stage came
	Fired atomic.Int64 // times that the fault was played
}

// actions are the words for faults.
var actions = map[string]struct {
	code   int
	effect Effect
}{
	"tempfail": {451, None}, "permfail": {550, None}, "full": {452, None}, "busy": {421, Close}, "notls": {454, None},
	"reset": {0, Reset}, "close": {0, Close}, "silence": {0, Silence},
}

// Grammar is the form of rules, for people.
const Grammar = `A rule is ACTION-STAGE, and then -afterN (not the first N times), -firstN (only these),
-everyN (each Nth time) or -pN (in N of 100, by chance), each at most once.
ACTION: tempfail (451), permfail (550), full (452), busy (421), notls (454), a code such
as 554, waitDURATION (wait250ms), reset, close, silence.
STAGE: greeting, helo, mail, rcpt, data, dot (after the message came, before the reply), quit.`

// ParseRule reads a rule such as "tempfail-rcpt-after100" (see [Grammar]).
func ParseRule(text string) (*Rule, error) {
	words := strings.Split(strings.ToLower(text), "-")
	bad := func(why string) (*Rule, error) {
		return nil, fmt.Errorf("fault %q: %s; it is ACTION-STAGE[-afterN|-firstN|-everyN|-pN], for example tempfail-rcpt-after100", text, why)
	}
	if len(words) < 2 {
		return bad("no stage")
	}
	r := &Rule{Text: text, percent: 100, every: 1, Stage: stages, first: math.MaxInt64}
	if !r.action(words[0]) {
		return bad(fmt.Sprintf("there is no action %q", words[0]))
	}
	for stage, name := range stageNames {
		if words[1] == name {
			r.Stage = Stage(stage)
		}
	}
	if r.Stage == stages {
		return bad(fmt.Sprintf("there is no stage %q", words[1]))
	}
	for _, word := range words[2:] {
		if !r.condition(word) {
			return bad(fmt.Sprintf("there is no condition %q", word))
		}
	}
	return r, nil
}

func (r *Rule) action(word string) bool {
	if a, ok := actions[word]; ok {
		r.code, r.effect = a.code, a.effect
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
	return err == nil && code >= 400 && code <= 599
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

// fires says whether the fault is played this time.
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
			err = fmt.Errorf("wait %q: %q is not a time up to an hour; give 20ms, uniform:5ms-50ms or lognormal:20ms,2", text, s)
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
			err = fmt.Errorf("wait %q: the factor %q is not 1 or more", text, factor)
		}
	default:
		err = fmt.Errorf("wait %q: there is no distribution %q; give 20ms, uniform:5ms-50ms or lognormal:20ms,2", text, form)
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

// StageOf is the stage of a name.
func StageOf(name string) (Stage, bool) {
	for stage, known := range stageNames {
		if known == name {
			return Stage(stage), true
		}
	}
	return 0, false
}
