package mx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"postrider/engine/mail/router"
)

// Explanation shows the hosts for a next hop, or the error, for "route": as text, or as JSON
// for programs.
type Explanation struct {
	Hop   string   `json:"next_hop"` // as router.ParseHop reads it
	How   string   `json:"how"`      // "by MX", "by host", "refused"
	Hosts []Host   `json:"hosts,omitempty"`
	Notes []string `json:"notes,omitempty"`
	Error *Error   `json:"error,omitempty"` // without hosts
	// Secure is Answer.Secure.
	Secure bool `json:"dnssec"`
}

// Explain finds the hosts for a next hop, to be shown.
func (f *Finder) Explain(ctx context.Context, hop router.Hop) Explanation {
	e := Explanation{Hop: hop.String(), How: "by MX"}
	switch hop.Kind {
	case router.ByHost:
		e.How = "by host"
	case router.Refused:
		e.How = "refused"
	}
	answer, err := f.Hosts(ctx, hop)
	if err != nil {
		e.Error, _ = errors.AsType[*Error](err)
		e.Notes = e.Error.Notes
		return e
	}
	e.Hosts, e.Notes, e.Secure = answer.Hosts, answer.Notes, answer.Secure
	return e
}

// String returns a line for the next hop, one for each host as exim -bt writes it, or for the
// error, and one for each note.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "next hop %s, %s\n", e.Hop, e.How)
	table := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	for _, h := range e.Hosts {
		fmt.Fprintf(table, "  host %s\t[%s]:%d", h.Name, h.Addr.Addr(), h.Addr.Port())
		if e.How == "by MX" {
			fmt.Fprintf(table, "\tMX=%d", h.Preference)
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush() // into memory
	if e.Error != nil {
		verdict := "deferred"
		if e.Error.Permanent {
			verdict = "returned"
		}
		fmt.Fprintf(&b, "  %s: %s %s\n", verdict, e.Error.Status, e.Error.Text)
	}
	for _, note := range e.Notes {
		fmt.Fprintf(&b, "  note: %s\n", note)
	}
	return b.String()
}
