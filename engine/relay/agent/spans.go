package agent

import (
	"cmp"

	"postrider/engine/host/otlp"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// sendSpans sends the spans of an attempt, if the message is one of a sample.
func (c *Courier) sendSpans(e *storage.QueueEntry, a *queue.Attempt) {
	spans := c.entrance.Load().Spans
	id := uint64(e.ID.Message)
	if a.NotMade || a.Began.IsZero() || !spans.Samples(id) {
		return
	}
	name, kind := "relay", otlp.Client
	if a.Final {
		name, kind = "deliver", otlp.Internal
	}
	delivered, status, fault := int64(0), "", ""
	for i := range a.Results {
		r := &a.Results[i]
		if r.Verdict == queue.Delivered {
			delivered++
		} else if fault == "" {
			fault, status = verdictWords[r.Verdict]+" "+r.Status, r.Status // the reason may name a recipient
		}
	}
	spans.Add(otlp.Span{
		Message: id, Name: name, Kind: kind, Start: a.Began, End: a.At, Fault: fault,
		Attributes: otlp.Facts(
			otlp.Attribute{Key: "postrider.message.id", Text: e.ID.Message.String()}, otlp.Attribute{Key: "postrider.destination", Text: e.Domain},
			otlp.Attribute{Key: "server.address", Text: cmp.Or(a.Peer, "none")}, otlp.Attribute{Key: "postrider.attempt", Number: int64(e.Attempts) + 1},
			otlp.Attribute{Key: "postrider.recipients", Number: int64(len(e.Recipients))}, otlp.Attribute{Key: "postrider.delivered", Number: delivered},
			otlp.Attribute{Key: "postrider.dsn", Text: cmp.Or(status, "2.0.0")},
		),
	})
	part := otlp.Span{Message: id, Kind: otlp.Internal, Name: "connect", Start: a.Began, End: a.At}
	if !a.Handed.IsZero() {
		part.End = a.Handed
		spans.Add(part)
		part.Name, part.Start, part.End = "transfer", a.Handed, a.At
	}
	if !a.Final {
		spans.Add(part)
	}
}
