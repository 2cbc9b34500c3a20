package server

import (
	"context"

	dto "github.com/prometheus/client_model/go"

	"postrider/engine/config"
	"postrider/engine/host/otlp"
)

// otlpSettings are where metrics and traces are sent; the error names the key.
func otlpSettings(c *config.Config) (otlp.Settings, error) {
	headers, err := otlp.ReadHeaders(c.Web.OTLPHeaders)
	return otlp.Settings{Endpoint: c.Web.OTLP, Interval: c.Web.OTLPInterval, Headers: headers, Sample: c.Web.OTLPSample}, err
}

// gatherer reads the metrics. They are made after the exporter, which has some.
type gatherer struct{ srv *Server }

// Gather implements prometheus.Gatherer.
func (g gatherer) Gather() ([]*dto.MetricFamily, error) { return g.srv.registry.Gather() }

// startOTLP sends metrics and traces until stop is called.
func (srv *Server) startOTLP() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.otlp.Run(ctx)
	}()
	return func() { cancel(); <-done }
}
