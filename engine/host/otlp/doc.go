// Package otlp sends metrics and traces to a collector of OpenTelemetry, by OTLP over HTTP in
// its JSON encoding (opentelemetry.io/docs/specs/otlp).
//
// The metrics are what Prometheus reads, at each Interval, as cumulative values: what a
// collector has missed is in the next ones, so that nothing is kept for it. A trace is the way
// of one message: a span for its arrival, with what it consists of, and one for each attempt
// to deliver it, whenever that is. All of them get the ids of the trace and of the first span
// from the message's id. So nothing is kept between them, and messages are sampled by their
// ids: either all spans of a message are sent or none is.
//
// A collector that is slow, down or hostile costs the server nothing but counters. Spans wait
// in a buffer of maxSpans, and more are dropped and counted. One request is made at a time and
// takes at most requestTime, at most maxAnswer octets of an answer are read, and redirects are
// not followed. After a failure nothing is sent to the same endpoint, that of metrics or that of
// traces, for an Interval, or for as long as Retry-After says, up to longestPause. A failure of
// an endpoint is logged when it is the first one, and each logEvery.
//
// # Why not the library
//
// go.opentelemetry.io/otel with its exporters for HTTP (v1.47) brings 40 packages of
// google.golang.org/grpc into the program, also where only HTTP is used, since its generated
// messages have both: a program that serves /metrics grew from 12.6 to 22.6 MB. Here it is a
// page of structs. The JSON encoding is as stable as that of protocol buffers (OTLP 1.0), and
// collectors take both at the same address.
package otlp
