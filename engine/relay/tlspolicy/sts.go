package tlspolicy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is what an MTA-STS policy wants done.
type Mode string

// The modes of RFC 8461 section 3.2.
const (
	ModeEnforce Mode = "enforce"
	ModeTesting Mode = "testing"
	ModeNone    Mode = "none"
)

// STS is the MTA-STS policy of a domain. It never changes.
type STS struct {
	Mode   Mode
	MX     []string // patterns in lower case; "*.example.org" is for one label before it
	MaxAge time.Duration
}

// Bounds of a policy (RFC 8461 section 3.2 for the age, section 3.3 for the size).
const (
	MaxPolicySize = 64 << 10
	maxMaxAge     = 31557600 // seconds
)

// ParseRecord reads the TXT records at _mta-sts.DOMAIN, each with its strings joined,
// and returns the id of the policy. ok is false when the domain has no
// policy: there has to be one record exactly (RFC 8461 section 3.1).
func ParseRecord(records []string) (id string, ok bool) {
	for _, text := range records {
		version, rest, _ := strings.Cut(text, ";")
		if strings.TrimRight(version, " \t") != "v=STSv1" {
			continue
		}
		if ok {
			return "", false
		}
		ok = true
		for field := range strings.SplitSeq(rest, ";") {
			key, value, _ := strings.Cut(strings.Trim(field, " \t"), "=")
			if key == "id" && id == "" {
				id = value
			}
		}
	}
	if !isID(id) {
		return "", false
	}
	return id, ok
}

func isID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 32
}

// ParsePolicy reads a policy file. Unknown fields are ignored, and of
// fields that come twice the first counts (RFC 8461 section 3.2).
func ParsePolicy(text []byte) (*STS, error) {
	fields := make(map[string]string)
	p := new(STS)
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimRight(line, " \t\r\n"), ":")
		if !ok {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "mx" {
			p.MX = append(p.MX, strings.ToLower(strings.TrimSuffix(value, ".")))
			continue
		}
		if _, has := fields[key]; !has {
			fields[key] = value
		}
	}
	if v := fields["version"]; v != "STSv1" {
		return nil, fmt.Errorf("the version is %q instead of STSv1", v)
	}
	p.Mode = Mode(fields["mode"])
	if !slices.Contains([]Mode{ModeEnforce, ModeTesting, ModeNone}, p.Mode) {
		return nil, fmt.Errorf("the mode is %q, and neither enforce, testing nor none", fields["mode"])
	}
	age, err := strconv.ParseUint(fields["max_age"], 10, 34)
	if err != nil {
		return nil, fmt.Errorf("the max_age is %q and not a number of seconds", fields["max_age"])
	}
	p.MaxAge = time.Duration(min(age, maxMaxAge)) * time.Second
	if len(p.MX) == 0 && p.Mode != ModeNone {
		return nil, errors.New("it names no mx")
	}
	return p, nil
}

// Allows reports whether a mail host is one of the policy's (RFC 8461 section 4.1).
func (p *STS) Allows(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, parent, _ := strings.Cut(host, ".")
	for _, pattern := range p.MX {
		if under, wild := strings.CutPrefix(pattern, "*."); pattern == host || wild && parent != "" && under == parent {
			return true
		}
	}
	return false
}

// String is the policy in a line.
func (p *STS) String() string {
	return fmt.Sprintf("%s, mx %s", p.Mode, strings.Join(p.MX, " "))
}
