package server

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postrider/engine/admit/login"
	"postrider/engine/edge/loop"
	"postrider/engine/host/latency"
	"postrider/storage"
)

// latencies are the histograms of a server.
type latencies struct {
	accept, commit, sync, retrieve, loop *latency.Histogram
	login                                login.Took
	delay                                *latency.Histogram // to maildrops
}

func newLatencies() latencies {
	short := func() *latency.Histogram { return latency.New(latency.Short) }
	return latencies{
		accept: short(), commit: short(), sync: short(), retrieve: short(), loop: short(),
		login: login.Took{Granted: short(), Denied: short(), Waited: short()},
		delay: latency.New(latency.Long),
	}
}

// register makes the histograms and the store's own figures metrics.
func (l *latencies) register(r *prometheus.Registry, store storage.Store, relayed *latency.Histogram) {
	histogram := func(name, help string, h *latency.Histogram) {
		r.MustRegister(&histogramOf{prometheus.NewDesc("postrider_"+name, help, nil, nil), []*latency.Histogram{h}, nil})
	}
	histogram("accept_seconds", "Time from the end of a message to its 250.", l.accept)
	histogram("commit_seconds", "Time that a message is with the store, from the end of the checks to its receipt, whatever it came by.", l.commit)
	histogram("relay_delay_seconds", "Time from the arrival of a message to its delivery to another host, for each recipient.", relayed)
	histogram("local_delay_seconds", "Time from the arrival of a message to its delivery to a maildrop, for each maildrop.", l.delay)
	histogram("store_sync_seconds", "Time from the write of a group of changes to its sync.", l.sync)
	histogram("retrieve_seconds", "Time from RETR until the last octet of the message is handed to the connection. The client has taken all of a large message then, except for the last piece.", l.retrieve)
	r.MustRegister(&histogramOf{
		prometheus.NewDesc("postrider_login_seconds", "Time of the check of a login, with what it waits for a goroutine of auth.workers, and without the delays because of wrong passwords.", []string{"result"}, nil),
		[]*latency.Histogram{l.login.Granted, l.login.Denied}, []string{"granted", "denied"},
	})
	histogram("login_wait_seconds", "Time that logins waited for their turn because there were many wrong passwords for their name.", l.login.Waited)
	histogram("loop_lag_seconds", "Time that a task waits for its event loop, measured each second.", l.loop)
	if m, ok := store.(storage.Metered); ok {
		r.MustRegister(meteredStore{m})
	}
}

// histogramOf is a metric of histograms as Prometheus reads it.
type histogramOf struct {
	desc   *prometheus.Desc
	all    []*latency.Histogram
	labels []string // for each; nil: there is one histogram, without a label
}

// Describe implements prometheus.Collector.
func (h *histogramOf) Describe(c chan<- *prometheus.Desc) { c <- h.desc }

// Collect implements prometheus.Collector.
func (h *histogramOf) Collect(c chan<- prometheus.Metric) {
	for i, one := range h.all {
		var label []string
		if h.labels != nil {
			label = h.labels[i : i+1]
		}
		s := one.Snapshot()
		c <- prometheus.MustNewConstHistogram(h.desc, s.Count, s.Seconds, s.Buckets, label...)
	}
}

// meteredStore has the store's own figures as Prometheus reads them.
type meteredStore struct{ store storage.Metered }

// Describe implements prometheus.Collector. The store tells its figures when it is asked.
func (meteredStore) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m meteredStore) Collect(c chan<- prometheus.Metric) {
	m.store.Metrics(func(f storage.Metric) {
		kind := prometheus.GaugeValue
		if f.Rises {
			kind = prometheus.CounterValue
		}
		var label, of []string
		if f.Label != "" {
			label, of = []string{f.Label}, []string{f.Of}
		}
		c <- prometheus.MustNewConstMetric(prometheus.NewDesc("postrider_"+f.Name, f.Help, label, nil), kind, f.Value, of...)
	})
}

// lagProbe measures how long tasks wait for an event loop.
type lagProbe struct {
	took   *latency.Histogram
	posted time.Time
	onWay  atomic.Bool
}

// Run implements loop.Task.
func (p *lagProbe) Run() {
	p.took.Observe(time.Since(p.posted))
	p.onWay.Store(false)
}

// watchLag probes the loops each second until stop is called.
func watchLag(loops []*loop.Loop, took *latency.Histogram) (stop func()) {
	probes := make([]lagProbe, len(loops))
	return eachSecond(func(time.Time) {
		for i, l := range loops {
			p := &probes[i]
			if p.onWay.Load() { // it tells its time once the loop comes to it
				continue
			}
			p.took, p.posted = took, time.Now()
			p.onWay.Store(true)
			if !l.Post(p) {
				p.onWay.Store(false)
			}
		}
	})
}
