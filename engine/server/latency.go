package server

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postrider/engine/edge/loop"
	"postrider/engine/host/latency"
	"postrider/storage"
)

// latencies are the histograms of a server.
type latencies struct {
	accept, sync, login, loop *latency.Histogram
}

func newLatencies() latencies {
	return latencies{accept: latency.New(latency.Short), sync: latency.New(latency.Short), login: latency.New(latency.Short), loop: latency.New(latency.Short)}
}

// register makes the histograms and the store's own figures metrics.
func (l *latencies) register(r *prometheus.Registry, store storage.Store, delay *latency.Histogram) {
	histogram := func(name, help string, h *latency.Histogram) {
		r.MustRegister(&histogramOf{h, prometheus.NewDesc("postrider_"+name, help, nil, nil)})
	}
	histogram("accept_seconds", "Time from the end of a message to its 250.", l.accept)
	histogram("relay_delay_seconds", "Time from the arrival of a message to its delivery to another host, for each recipient.", delay)
	histogram("store_sync_seconds", "Time from the write of a group of changes to its sync.", l.sync)
	histogram("login_seconds", "Time from a login to its outcome, without the delay of failed ones.", l.login)
	histogram("loop_lag_seconds", "Time that a task waits for its event loop, measured each second.", l.loop)
	if m, ok := store.(storage.Metered); ok {
		r.MustRegister(meteredStore{m})
	}
}

// histogramOf is a histogram as Prometheus reads it.
type histogramOf struct {
	h    *latency.Histogram
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (h *histogramOf) Describe(c chan<- *prometheus.Desc) { c <- h.desc }

// Collect implements prometheus.Collector.
func (h *histogramOf) Collect(c chan<- prometheus.Metric) {
	s := h.h.Snapshot()
	c <- prometheus.MustNewConstHistogram(h.desc, s.Count, s.Seconds, s.Buckets)
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
		c <- prometheus.MustNewConstMetric(prometheus.NewDesc("postrider_"+f.Name, f.Help, nil, nil), kind, f.Value)
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
