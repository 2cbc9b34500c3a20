package otlp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// Kind is the kind of a span, by its number in OTLP.
type Kind uint8

// The kinds.
const (
	Internal Kind = 1
	Server   Kind = 2 // a client has asked for it
	Client   Kind = 3 // another host does it
)

// Span is one part of a message's way.
type Span struct {
	Message    uint64 // its id: the spans of a message are one trace
	First      bool   // the one that the others are below
	Name       string
	Kind       Kind
	Start, End time.Time
	Fault      string // why it did not succeed; "": it did
	Attributes [maxAttributes]Attribute
}

// maxAttributes is how many attributes a span may have, maxText how many octets of a text
// are sent.
const (
	maxAttributes = 7
	maxText       = 256
)

// Attribute is a fact about a span. Key "": none.
type Attribute struct {
	Key    string
	Text   string // "": Number counts
	Number int64
}

// Facts are the attributes of a span.
func Facts(all ...Attribute) (as [maxAttributes]Attribute) {
	copy(as[:], all)
	return as
}

// Samples reports whether the spans of a message are sent.
func (e *Exporter) Samples(message uint64) bool {
	if e == nil {
		return false
	}
	s := e.set.Load()
	return s.Endpoint != "" && s.Sample > 0 && mixed(message)%uint64(s.Sample) == 0
}

// mixed spreads ids that follow one another (SplitMix64).
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Add takes a span to be sent. It never blocks: a span without room is dropped and counted.
func (e *Exporter) Add(s Span) {
	select {
	case e.spans <- s:
	default:
		e.Stats.SpansDropped.Add(1)
	}
}

type tracesRequest struct {
	Resources []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource resource     `json:"resource"`
	Scopes   []scopeSpans `json:"scopeSpans"`
}

type scopeSpans struct {
	Scope scope  `json:"scope"`
	Spans []span `json:"spans"`
}

type span struct {
	Trace      string      `json:"traceId"` // in hexadecimal, as is the next
	ID         string      `json:"spanId"`
	Parent     string      `json:"parentSpanId,omitempty"`
	Name       string      `json:"name"`
	Kind       Kind        `json:"kind"`
	Start      whole       `json:"startTimeUnixNano"`
	End        whole       `json:"endTimeUnixNano"`
	Attributes []attribute `json:"attributes,omitempty"`
	Status     status      `json:"status"`
}

// status is STATUS_CODE_OK, 1, or STATUS_CODE_ERROR, 2.
type status struct {
	Message string `json:"message,omitempty"`
	Code    int    `json:"code"`
}

// ids are the ids of a message's trace and of its first span. They follow from its id and the
// name of this server, so that they are the same at each attempt, also in another process.
func (e *Exporter) ids(message uint64) (trace, first string) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(e.from.Instance+"\x00"), message))
	return hex.EncodeToString(sum[:16]), hex.EncodeToString(sum[16:24])
}

// traces makes a request of spans.
func (e *Exporter) traces(batch []Span) tracesRequest {
	all := make([]span, len(batch))
	for i := range batch {
		all[i] = e.span(&batch[i])
	}
	return tracesRequest{[]resourceSpans{{e.resource(), []scopeSpans{{e.scope(), all}}}}}
}

func (e *Exporter) span(s *Span) span {
	trace, first := e.ids(s.Message)
	out := span{Trace: trace, ID: first, Name: s.Name, Kind: s.Kind, Start: nanoseconds(s.Start), End: nanoseconds(s.End), Status: status{Code: 1}}
	if !s.First {
		out.Parent = first
		out.ID = hex.EncodeToString(binary.BigEndian.AppendUint64(nil, rand.Uint64()|1)) // an id of zeros is not valid
	}
	if s.Fault != "" {
		out.Status = status{cut(s.Fault), 2}
	}
	for _, a := range s.Attributes {
		switch {
		case a.Key == "":
		case a.Text != "":
			out.Attributes = append(out.Attributes, text(a.Key, cut(a.Text)))
		default:
			out.Attributes = append(out.Attributes, integer(a.Key, a.Number))
		}
	}
	return out
}

// cut bounds a text. A character that is cut becomes a question mark in JSON.
func cut(s string) string { return s[:min(len(s), maxText)] }
