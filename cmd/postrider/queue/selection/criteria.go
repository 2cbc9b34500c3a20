package selection

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/address"
	"postrider/storage"
)

// Criteria are the flags of a selection, as they were given.
type Criteria struct {
	Domain, From, Status string
	Older, Younger       string // ages
	Held                 bool
	Limit                int64
	// Given reports whether a flag was given at all.
	Given func(flag string) bool
}

// flags are the names of the flags that select.
var flags = [...]string{"to-domain", "from", "older", "younger", "error", "held", "limit"}

// None reports whether nothing was selected at all, by id or by flag.
func (c *Criteria) None(ids []string) bool {
	return len(ids) == 0 && !slices.ContainsFunc(flags[:], c.Given)
}

// Filter is the flags as the store understands them. Ages are counted back from now.
func (c *Criteria) Filter(now time.Time) (f storage.QueueFilter, err error) {
	f.Domain = address.FoldDomain(strings.TrimSuffix(c.Domain, "."))
	if strings.Contains(f.Domain, "@") {
		return f, sysexits.Usage.With(fmt.Errorf("--to-domain %s: expected a domain, not an address", c.Domain))
	}
	if c.Given("from") {
		path := strings.TrimSuffix(strings.TrimPrefix(c.From, "<"), ">")
		f.ReversePath = &path
	}
	if c.Status != "" && !isStatus(c.Status) {
		return f, sysexits.Usage.With(fmt.Errorf("--error %s: expected a status such as 4.4.1, or its beginning, 4.4 or 4", c.Status))
	}
	f.Status = c.Status
	if c.Older != "" {
		age, err := workspace.ParseAge(c.Older)
		if err != nil {
			return f, sysexits.Usage.With(fmt.Errorf("--older %w", err))
		}
		f.ArrivedBefore = now.Add(-age)
	}
	if c.Younger != "" {
		age, err := workspace.ParseAge(c.Younger)
		if err != nil {
			return f, sysexits.Usage.With(fmt.Errorf("--younger %w", err))
		}
		f.ArrivedAfter = now.Add(-age)
	}
	if c.Given("held") {
		f.Held = &c.Held
	}
	if c.Limit < 0 {
		return f, sysexits.Usage.With(fmt.Errorf("--limit %d: expected 0 or more", c.Limit))
	}
	return f, nil
}

// isStatus reports whether text is an enhanced status code (RFC 3463) or its first
// parts: 4, 4.4, 4.4.1.
func isStatus(text string) bool {
	parts := strings.Split(text, ".")
	if !slices.Contains([]string{"2", "4", "5"}, parts[0]) || len(parts) > 3 {
		return false
	}
	return !slices.ContainsFunc(parts[1:], func(part string) bool {
		return part == "" || len(part) > 3 || strings.Trim(part, "0123456789") != ""
	})
}
