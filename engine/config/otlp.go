package config

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// keysOfOTLP returns the keys about a collector of metrics and traces.
func keysOfOTLP(c *Config) []*Key {
	return []*Key{
		text("web.otlp", &c.Web.OTLP, "", collector, "a URL such as http://collector.example:4318, or empty").
			help("Send the metrics to a collector of OpenTelemetry at this URL, by OTLP over HTTP in JSON: to /v1/metrics below it, and spans to /v1/traces (web.otlp_sample). A collector that is slow or down holds up no mail. Empty: nothing is sent."),
		duration("web.otlp_interval", &c.Web.OTLPInterval, time.Minute, time.Second, time.Hour).
			help("Time between two exports of the metrics to web.otlp."),
		text("web.otlp_headers", &c.Web.OTLPHeaders, "", anyString, "a path, or empty").
			help("File of header fields for the requests to web.otlp, one a line, as \"Authorization: Bearer secret\". Only its owner may have permission to read it."),
		count("web.otlp_sample", &c.Web.OTLPSample, 0, 0, 1_000_000_000).
			help("One message of so many has its way sent to web.otlp as a trace: its arrival, the checks, the store, and each attempt to deliver it to another host. 1: each message; 0: none. A trace has no addresses of mail and no text of a message."),
	}
}

// collector reads the URL of a collector of OpenTelemetry, or nothing.
func collector(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is not a URL: %w", s, errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.RawQuery != "", u.Fragment != "":
		return "", fmt.Errorf("%q is not a URL of the form http://HOST:PORT", s)
	case u.User != nil:
		return "", errors.New("a login does not belong into the URL: put it into web.otlp_headers")
	}
	return s, nil
}
