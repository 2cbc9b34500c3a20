package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is Count events in the time Per, all at once or one by one. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// ParseRate parses a rate such as "30/1m". "" is no limit.
func ParseRate(s string) (r Rate, err error) {
	if s == "" {
		return r, nil
	}
	count, per, ok := strings.Cut(s, "/")
	if r.Count, err = strconv.Atoi(count); err != nil || !ok || r.Count < 1 {
		return Rate{}, fmt.Errorf("%q: expected COUNT/DURATION, such as 30/1m", s)
	}
	if r.Per, err = time.ParseDuration(per); err != nil || r.Per < time.Second || r.Per > 24*time.Hour {
		return Rate{}, fmt.Errorf("%q: expected a duration from 1s to 24h after the slash, such as 1m", s)
	}
	return r, nil
}

// String returns the rate as ParseRate reads it.
func (r Rate) String() string {
	if r.Count == 0 {
		return ""
	}
	return strconv.Itoa(r.Count) + "/" + r.Per.String()
}

// each is how long the bucket takes to gain a token.
func (r Rate) each() time.Duration { return r.Per / time.Duration(r.Count) }
