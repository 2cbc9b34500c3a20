package server

import (
	"cmp"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"postrider/codec/pop3"
	"postrider/codec/smtp"
	"postrider/engine/edge/conn"
	"postrider/engine/relay/agent"
)

// labelled are the metrics with labels. Each value of a label is a constant of the program:
// what clients and other hosts say makes no series.
type labelled struct{ srv *Server }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("postrider_"+name, help, labels, nil)
}

var (
	sessionsDesc = desc("sessions", "Open sessions, by listener and by the state of the protocol: the last command in SMTP.", "listener", "state")
	waitingDesc  = desc("sessions_waiting", "Those of them that wait for something other than the client, by what that is.", "listener", "waits")
	openDesc     = desc("sessions_open", "Open sessions, as postrider_sessions has them by state.", "listener")
	beganDesc    = desc("sessions_total", "Sessions that have begun.", "listener")
	lateDesc     = desc("session_timeouts_total", "Sessions ended because the client was silent or too slow, without those in a TLS handshake.", "listener")
	repliesDesc  = desc("replies_total", "Replies, by listener and kind: the digit of SMTP and HTTP, the word of POP3.", "listener", "kind")
	reasonsDesc  = desc("refusals_by_reason_total", "Commands, messages and clients that SMTP has refused, by reason.", "reason")
	codesDesc    = desc("pop3_refusals_total", "Replies -ERR, by the code of RFC 2449 and RFC 3206: AUTH, IN-USE, LOGIN-DELAY, SYS/TEMP, SYS/PERM, or none.", "code")
	limitsDesc   = desc("limit_refusals_total", "Times that a limit has refused something or made it wait, by its key in the configuration.", "limit", "scope")
	resultsDesc  = desc("delivery_results_total", "Attempts to deliver mail out of the queue, for each recipient, by where it goes (hosts, maildrops), the result in the words of the log, and the class and subject of the status code.", "to", "result", "dsn")
	agesDesc     = desc("queue_age_entries", "Entries of the queue by class (active: being tried or due; deferred; hold) and age. Each entry is in one series only: that of the first age that is not less than its own. They are counted in the background: see postrider_queue_counted_timestamp_seconds.", "class", "age")
	countedDesc  = desc("queue_counted_timestamp_seconds", "When the entries of the queue were counted by class and age.")
	countingDesc = desc("queue_count_seconds", "How long that took: at most 10,000 entries a second are counted.")
)

// listenerWeb is the listener of HTTP.
const listenerWeb = "web"

// Describe implements prometheus.Collector.
func (labelled) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sessionsDesc, waitingDesc, openDesc, beganDesc, lateDesc, repliesDesc, reasonsDesc, codesDesc, limitsDesc, resultsDesc, agesDesc, countedDesc, countingDesc} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (l labelled) Collect(c chan<- prometheus.Metric) {
	l.sessions(c)
	l.fronts(c)
	l.reasons(c)
	l.results(c)
	l.queue(c)
}

func count(c chan<- prometheus.Metric, d *prometheus.Desc, n int64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func state(c chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// sessions are the open sessions, as they were counted last.
func (l labelled) sessions(c chan<- prometheus.Metric) {
	type series struct{ listener, word string }
	states, waits := make(map[series]int), make(map[series]int)
	for f := range conn.Fronts { // these are always there
		words := []string{"CONNECT", "EHLO", "DATA"}
		if f == conn.POP3 || f == conn.POP3S {
			words = []string{"AUTHORIZATION", "TRANSACTION"}
		}
		for _, word := range words {
			states[series{f.String(), word}] = 0
		}
		for _, word := range []string{"login", "memory", "store"} {
			waits[series{f.String(), word}] = 0
		}
	}
	for d, n := range l.srv.doing.look() {
		states[series{d.Front.String(), d.State}] += n
		if d.Waits != "" {
			waits[series{d.Front.String(), d.Waits}] += n
		}
	}
	for s, n := range states {
		state(c, sessionsDesc, float64(n), s.listener, s.word)
	}
	for s, n := range waits {
		state(c, waitingDesc, float64(n), s.listener, s.word)
	}
}

// fronts are the counters of each listener.
func (l labelled) fronts(c chan<- prometheus.Metric) {
	for f := range conn.Fronts {
		sum, name := l.srv.edge.Sum(f), f.String()
		state(c, openDesc, float64(sum.Begun-sum.Ended), name)
		count(c, beganDesc, sum.Begun, name)
		count(c, lateDesc, sum.Timeouts, name)
		kinds := [2]conn.ReplyKind{conn.Reply2yz, conn.Reply5yz}
		if f == conn.POP3 || f == conn.POP3S {
			kinds = [2]conn.ReplyKind{conn.ReplyOK, conn.ReplyErr}
		}
		for k := kinds[0]; k <= kinds[1]; k++ {
			count(c, repliesDesc, sum.Replies[k], name, k.String())
		}
	}
	for digit, kind := range [...]string{1: "2yz", 2: "3yz", 3: "4yz", 4: "5yz"} {
		if kind != "" {
			count(c, repliesDesc, l.srv.stats.web[digit].Load(), listenerWeb, kind)
		}
	}
}

// reasons are the refusals, by reason and by limit.
func (l labelled) reasons(c chan<- prometheus.Metric) {
	for why := range smtp.Reasons {
		count(c, reasonsDesc, l.srv.smtpsrv.Refused(why), why.String())
	}
	for _, code := range pop3.Codes {
		count(c, codesDesc, l.srv.pop3srv.Refused(code), cmp.Or(string(code), "none"))
	}
	for _, of := range l.srv.limits.all {
		count(c, limitsDesc, of.count(), of.key, of.scope)
	}
}

// usualClass is the class of the status that each outcome has as a rule.
var usualClass = [agent.Outcomes]byte{agent.Sent: '2', agent.Deferred: '4', agent.Bounced: '5', agent.Expired: '4'}

// results are the outcomes of deliveries. Series that are not usual are there once there was
// one.
func (l labelled) results(c chan<- prometheus.Metric) {
	results := &l.srv.courier.Stats.Results
	for to, word := range [agent.Wheres]string{agent.ToOtherHosts: "hosts", agent.ToMaildrops: "maildrops"} {
		for o := range agent.Outcomes {
			for class := range len(agent.Classes) {
				for subject := range agent.Subjects {
					n := results[to][o][class][subject].Load()
					if n == 0 && usualClass[o] != agent.Classes[class] {
						continue
					}
					dsn := agent.Classes[class:class+1] + ".other"
					if subject < agent.Subjects-1 {
						dsn = agent.Classes[class:class+1] + "." + string(rune('0'+subject))
					}
					count(c, resultsDesc, n, word, o.String(), dsn)
				}
			}
		}
	}
}

// queue are the entries of the queue, as they were counted last; nothing before that.
func (l labelled) queue(c chan<- prometheus.Metric) {
	t := l.srv.ages.look()
	if t == nil {
		return
	}
	for class := range classes {
		for age := range ages {
			state(c, agesDesc, float64(t.entries[class][age]), string(classNames[class]), ageNames[age])
		}
	}
	state(c, countedDesc, float64(t.at.UnixMilli())/1000)
	state(c, countingDesc, t.took.Seconds())
}

// CountReplies counts the replies of a handler by their status.
func (srv *Server) CountReplies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted := &countedReply{ResponseWriter: w}
		defer func() {
			if digit := max(counted.status, http.StatusOK) / 100; digit <= len(srv.stats.web) {
				srv.stats.web[digit-1].Add(1)
			}
		}()
		next.ServeHTTP(counted, r)
	})
}

// countedReply notes the status of a reply.
type countedReply struct {
	http.ResponseWriter
	status int // 0: none was set, which means 200
}

// WriteHeader implements http.ResponseWriter. A status 1xx is not the last one.
func (w *countedReply) WriteHeader(status int) {
	if w.status < http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *countedReply) Unwrap() http.ResponseWriter { return w.ResponseWriter }
