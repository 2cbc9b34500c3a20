package server

import (
	"errors"
	"math"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"postrider/engine/admit/screen"
	"postrider/engine/edge/conn"
)

// stats has counters of the metrics. The loops write them without a lock. The other
// counters are in the packages that count: smtpsrv, pop3srv, screen, login, conn, agent.
type stats struct {
	messages atomic.Int64    // that web clients and users of this machine have sent
	web      [5]atomic.Int64 // replies by HTTP, by the first digit of their status
}

// gauge and counter register a metric. A counter is the sum of its values.
type (
	gauge   func(name, help string, f func() float64)
	counter func(name, help string, vs ...*atomic.Int64)
)

// errDraining is the health of a server that is about to end.
var errDraining = errors.New("shutting down")

// HTTP returns the handler of --http: /metrics for Prometheus, /healthz and
// /readyz, which answer 200 while mail is taken and 503 with the reason while it is not.
// The caller may put more into it.
func (srv *Server) HTTP() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", srv.activity.Track(srv.onlyHosts(promhttp.HandlerFor(srv.registry, promhttp.HandlerOpts{}))))
	if srv.config().Web.Profiling {
		profiles(mux, func(next http.Handler) http.Handler { return srv.activity.Track(srv.onlyHosts(next)) })
	}
	health := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := srv.Healthy(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(err.Error() + "\n"))
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	}
	mux.Handle("GET /healthz", srv.activity.Track(http.HandlerFunc(health)))
	mux.Handle("GET /readyz", srv.activity.Track(http.HandlerFunc(health)))
	return mux
}

// onlyHosts passes on requests that name one of the server's names, as web.hosts has them at
// that time. Monitoring over a network may know hosts by names of its own.
func (srv *Server) onlyHosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts := srv.webHosts()
		hosts.Always = false
		hosts.Only(next).ServeHTTP(w, r)
	})
}

// Healthy is nil while mail is taken, else the reason why it is not.
func (srv *Server) Healthy() error {
	if srv.draining.Load() {
		return errDraining
	}
	return srv.store.Health().Err
}

// newRegistry makes the metrics of a server.
func (srv *Server) newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "postrider"}))
	var gauge gauge = func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "postrider", Name: name, Help: help}, f))
	}
	var counter counter = func(name, help string, vs ...*atomic.Int64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "postrider", Name: name, Help: help}, func() float64 {
			sum := int64(0)
			for _, v := range vs {
				sum += v.Load()
			}
			return float64(sum)
		}))
	}
	srv.edgeMetrics(gauge, counter)
	srv.mailMetrics(gauge, counter)
	srv.loginMetrics(gauge, counter)
	srv.relayMetrics(gauge, counter)
	srv.tlsMetrics(gauge, counter)
	srv.screenMetrics(gauge, counter)
	srv.historyMetrics(gauge, counter)
	srv.took.register(r, srv.store, srv.courier.Stats.Delay)
	sent := &srv.otlp.Stats
	counter("otlp_requests_total", "Requests to the collector of web.otlp.", &sent.Requests)
	counter("otlp_failures_total", "Those of them that it did not take.", &sent.Failed)
	counter("otlp_rejected_total", "Points and spans that it has rejected out of requests that it took.", &sent.Rejected)
	counter("otlp_spans_total", "Spans that it has taken.", &sent.SpansSent)
	counter("otlp_spans_dropped_total", "Spans that were dropped: the collector was too slow, or took nothing.", &sent.SpansDropped)
	r.MustRegister(labelled{srv})
	return r
}

// edgeMetrics are about connections and the store's room for them.
func (srv *Server) edgeMetrics(gauge gauge, counter counter) {
	refusals := &srv.edge.Clients.Refusals
	gauge("memory_booked_bytes", "Message octets in memory, of limits.memory.", func() float64 { return float64(srv.budget.Used()) })
	gauge("memory_limit_bytes", "limits.memory.", func() float64 { return float64(srv.config().Limits.Memory) })
	gauge("store_free_bytes", "Room on the store's disk above its floor.", func() float64 { return float64(srv.store.Health().FreeBytes) })
	gauge("store_accepting", "1 while the store takes mail, else 0.", func() float64 {
		if srv.store.Health().Err != nil {
			return 0
		}
		return 1
	})
	gauge("connections", "Open connections, of all protocols, of limits.connections.", func() float64 { n, _ := srv.edge.Clients.Open(); return float64(n) })
	gauge("connections_strangers", "Those of them that come from other networks than relay.networks and smtp.trusted_networks.", func() float64 { _, n := srv.edge.Clients.Open(); return float64(n) })
	counter("connections_refused_total", "Connections refused because limits.connections were in use.", &refusals[conn.TooManyInAll])
	counter("connections_refused_client_total", "Connections refused because the client had limits.connections_per_client.", &refusals[conn.TooManyOfClient])
	counter("connections_refused_strangers_total", "Connections refused because strangers had all of limits.connections that they may have at the service.", &refusals[conn.TooManyOfStrangers])
	counter("connections_refused_network_total", "Connections refused because the client's network had its share of what was free at the service.", &refusals[conn.TooManyOfNetwork])
	counter("policy_proxy_faults_total", "Connections of balancers without a good PROXY header.", &srv.edge.Stats.ProxyFaults)
	counter("timeouts_total", "Sessions ended because the peer was silent or too slow.", &srv.edge.Stats.Timeouts)
}

// mailMetrics are about the mail that clients bring and fetch.
func (srv *Server) mailMetrics(gauge gauge, counter counter) {
	smtp, pop3 := &srv.smtpsrv.Stats, &srv.pop3srv.Stats
	gauge("smtp_sessions", "Open SMTP sessions.", func() float64 { return float64(smtp.Sessions.Load()) })
	gauge("pop3_sessions", "Open POP3 sessions.", func() float64 { return float64(pop3.Sessions.Load()) })
	gauge("commits_open", "Messages that wait for their sync.", func() float64 { return float64(smtp.CommitsOpen.Load()) })
	counter("messages_total", "Messages that got their 250.", &srv.stats.messages, &smtp.Messages)
	counter("deliveries_total", "Maildrop entries made for them.", &smtp.Deliveries)
	counter("octets_in_total", "Octets of those messages.", &smtp.OctetsIn)
	counter("refusals_total", "Refused commands and messages.", &smtp.Refused)
	counter("refusals_temporary_total", "Refusals with a 4yz reply.", &smtp.ForNow)
	counter("pop3_retrieved_total", "Messages sent by RETR and TOP.", &pop3.Retrieved)
	old := &srv.retention.Stats
	counter("expired_messages_total", "Messages deleted because of pop3.expire or the account's time.", &old.Expired)
	counter("expired_octets_total", "Octets of those messages.", &old.ExpiredOctets)
	counter("purged_messages_total", "Deleted messages that can't be undeleted any more, because of storage.keep_deleted.", &old.Purged)
	counter("purged_octets_total", "Octets of those messages.", &old.PurgedOctets)
	counter("purged_accounts_total", "Removed accounts that can't be undeleted any more, because of storage.keep_removed.", &old.Accounts)
	counter("octets_out_total", "Octets of those messages.", &pop3.OctetsOut)
	counter("over_budget_total", "Times that limits.memory made a session wait or come back.", &smtp.OverBudget, &pop3.OverBudget)
}

// loginMetrics are about logins.
func (srv *Server) loginMetrics(gauge gauge, counter counter) {
	gauge("auth_waiting", "Logins that wait for a goroutine of auth.workers.", func() float64 { return float64(srv.auth.Waiting()) })
	door := &srv.door.Stats
	counter("pop3_logins_total", "Logins by POP3.", &door.POP3)
	counter("pop3_denied_total", "Logins with a wrong name or password, those of SMTP and the web client among them.", &door.Denied)
	counter("auth_total", "Logins by AUTH in SMTP.", &door.SMTP)
	counter("web_logins_total", "Logins to the web client.", &door.Web)
	counter("auth_remembered_total", "Logins that needed no hash because the password was right a short time ago.", &door.Remembered)
	counter("auth_verifiers_total", "Verifiers for SCRAM that were made after a login by password.", &door.Verifiers)
	counter("auth_throttled_total", "Logins not looked at because too many of their network failed.", &door.Throttled)
	counter("auth_slowed_total", "Logins that waited because there were many wrong passwords for their account.", &door.Slowed)
}

// relayMetrics are the metrics of mail that leaves.
func (srv *Server) relayMetrics(gauge gauge, counter counter) {
	c := srv.courier
	load := func(pick func(jobs, sessions, awake int) int) func() float64 {
		return func() float64 { return float64(pick(c.Load())) }
	}
	gauge("queue_entries", "Entries of the queue: messages and their recipients at one destination.", func() float64 {
		n, _ := srv.store.QueueTotal()
		return float64(n)
	})
	gauge("queue_bytes", "Octets of the messages of those entries.", func() float64 {
		_, n := srv.store.QueueTotal()
		return float64(n)
	})
	gauge("relay_entries_in_memory", "Queue entries that are being delivered or come next.", load(func(jobs, _, _ int) int { return jobs }))
	gauge("relay_sessions", "Connections to other hosts.", load(func(_, sessions, _ int) int { return sessions }))
	gauge("relay_destinations_awake", "Destinations of which something is due.", load(func(_, _, awake int) int { return awake }))
	gauge("relay_destinations_dead", "Next hops that nothing is sent to until they are probed.", func() float64 { return float64(srv.deadSites()) })
	counter("relay_sent_total", "Recipients whose message another host has taken.", &c.Stats.Sent)
	counter("relay_deferred_total", "Recipients that are tried again, counted at each attempt.", &c.Stats.Deferred)
	counter("relay_bounced_total", "Recipients that another host has refused for good.", &c.Stats.Bounced)
	counter("relay_expired_total", "Recipients given up at the end of relay.lifetime.", &c.Stats.Expired)
	counter("relay_connections_total", "Connections made to other hosts.", &c.Stats.Sessions)
	counter("relay_reused_total", "Messages sent over a connection that was there.", &c.Stats.Reused)
	counter("relay_tls_connections_total", "Connections to other hosts that went under TLS.", &c.Stats.OverTLS)
	counter("relay_tls_verified_total", "Those of them whose certificate was asked for and valid.", &c.Stats.Verified)
	counter("relay_tls_failures_total", "TLS handshakes with other hosts that failed, or showed a certificate that is not valid.", &c.Stats.TLSFailures)
	counter("notifications_total", "Notifications sent.", &c.Stats.Notices)
	counter("notifications_dropped_total", "Notifications that could not be delivered and were given up.", &c.Stats.Dropped)
}

// tlsMetrics are the metrics of handshakes with clients.
func (srv *Server) tlsMetrics(gauge gauge, counter counter) {
	gauge("tls_handshakes_open", "TLS handshakes under way.", func() float64 { return float64(srv.edge.TLS.Handshaker.Open()) })
	gauge("tls_certificate_expiry_timestamp_seconds", "When the first TLS certificate ends; +Inf without TLS.", func() float64 {
		m := srv.tls.Load()
		if m == nil {
			return math.Inf(1)
		}
		at, _ := m.Expires()
		return float64(at.Unix())
	})
	counter("tls_handshakes_total", "TLS handshakes that succeeded.", &srv.edge.Stats.TLSHandshakes)
	counter("tls_failures_total", "TLS handshakes that failed.", &srv.edge.Stats.TLSFailed)
	counter("tls_paced_total", "Clients turned away because of tls.client_handshakes.", &srv.edge.Stats.TLSPaced)
	counter("tls_busy_total", "Clients turned away because of tls.max_handshakes.", &srv.edge.Stats.TLSBusy)
}

// screenMetrics are about untrusted clients: one counter for each reason to refuse.
func (srv *Server) screenMetrics(gauge gauge, counter counter) {
	g := srv.guard
	st := &g.Stats
	gauge("policy_lookups_open", "Strangers who are being looked up.", func() float64 { return float64(g.Lookups()) })
	gauge("policy_checks_open", "Messages that are being checked, of policy.verifications.", func() float64 { return float64(g.Checks()) })
	counter("policy_connection_rate_total", "Clients refused by policy.client_connections or network_connections.", &st.ConnectionRate[screen.OfClient], &st.ConnectionRate[screen.OfNetwork])
	counter("policy_message_rate_total", "Messages refused by policy.client_messages or network_messages.", &st.MessageRate[screen.OfClient], &st.MessageRate[screen.OfNetwork])
	counter("policy_question_rate_total", "Messages refused by policy.client_questions.", &st.QuestionRate)
	counter("policy_early_talkers_total", "Clients that spoke before the greeting.", &st.EarlyTalkers)
	counter("policy_early_refused_total", "Those of them that were refused.", &st.EarlyRefused)
	counter("policy_pipelining_total", "Clients that sent more before the reply to EHLO, HELO or DATA.", &st.Pipelining)
	counter("policy_pipelining_refused_total", "Commands and messages refused for it.", &st.PipeliningRefused)
	counter("policy_listed_total", "Clients refused because of DNS lists.", &st.Listed)
	counter("policy_lookups_skipped_total", "Clients served without a lookup because too many were under way.", &st.LookupsSkipped)
	counter("policy_greylisted_total", "Recipients that had to wait by greylisting.", &st.Greylisted)
	counter("policy_success_notifications_total", "Notifications of success because of strangers' mail, which passed SPF.", &st.SuccessSent)
	counter("policy_success_passed_over_total", "Messages of untrusted clients with NOTIFY=SUCCESS whose senders get no notification of success.", &st.SuccessIgnored)
	counter("policy_checked_total", "Messages checked for SPF, DKIM and DMARC.", &st.Checked)
	counter("policy_dmarc_failed_total", "Messages that their domain wants rejected.", &st.DMARCFailed)
	counter("policy_dmarc_refused_total", "Those of them that were refused.", &st.DMARCRefused)
}
