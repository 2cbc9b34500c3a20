package engine

import (
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// HTTP returns the handler of --http: /metrics for Prometheus, /healthz and
// /readyz, which answer 200 while mail is taken and 503 with the reason while it is not.
func (srv *Server) HTTP() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(srv.registry(), promhttp.HandlerOpts{}))
	health := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := srv.Healthy(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(err.Error() + "\n"))
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	}
	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /readyz", health)
	return mux
}

// Healthy is nil while mail is taken, else the reason why it is not.
func (srv *Server) Healthy() error {
	if srv.draining.Load() {
		return errDraining
	}
	return srv.store.Health().Err
}

func (srv *Server) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "postrider"}))
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "postrider", Name: name, Help: help}, f))
	}
	counter := func(name, help string, v *atomic.Int64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "postrider", Name: name, Help: help},
			func() float64 { return float64(v.Load()) }))
	}
	st := &srv.stats
	gauge("smtp_sessions", "Open SMTP sessions.", func() float64 { return float64(st.smtpSessions.Load()) })
	gauge("pop3_sessions", "Open POP3 sessions.", func() float64 { return float64(st.pop3Sessions.Load()) })
	gauge("memory_booked_bytes", "Message octets in memory, of limits.memory.", func() float64 { return float64(srv.budget.used()) })
	gauge("memory_limit_bytes", "limits.memory.", func() float64 { return float64(srv.cfg.Limits.Memory) })
	gauge("commits_open", "Messages that wait for their sync.", func() float64 { return float64(srv.commitsOpen.Load()) })
	gauge("store_free_bytes", "Room on the store's disk above its floor.", func() float64 { return float64(srv.store.Health().FreeBytes) })
	gauge("store_accepting", "1 while the store takes mail, else 0.", func() float64 {
		if srv.store.Health().Err != nil {
			return 0
		}
		return 1
	})
	counter("messages_total", "Messages that got their 250.", &st.messages)
	counter("deliveries_total", "Maildrop entries made for them.", &st.deliveries)
	counter("octets_in_total", "Octets of those messages.", &st.octetsIn)
	counter("refusals_total", "Refused commands and messages.", &st.refused)
	counter("pop3_logins_total", "Logins.", &st.logins)
	counter("pop3_denied_total", "Logins with a wrong name or password.", &st.denied)
	counter("pop3_retrieved_total", "Messages sent by RETR and TOP.", &st.retrieved)
	counter("octets_out_total", "Octets of those messages.", &st.octetsOut)
	counter("timeouts_total", "Sessions ended because the peer was silent or too slow.", &st.timeouts)
	counter("over_budget_total", "Times that limits.memory made a session wait or come back.", &st.overBudget)
	return r
}
