package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postrider/engine/router"
)

// anyString takes every string.
func anyString(s string) (string, error) { return s, nil }

func ipOrEmpty(s string) (string, error) {
	if s == "" {
		return s, nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return "", fmt.Errorf("%q is not an IP address", s)
	}
	return ip.String(), nil
}

// wait reads a duration between attempts.
func wait(s string) (time.Duration, error) {
	n, err := readDuration(s)
	if err == nil && time.Duration(n) < time.Second {
		err = fmt.Errorf("%s is less than 1s", s)
	}
	return time.Duration(n), err
}

// nextHop reads HOST, HOST:PORT, [HOST] or [HOST]:PORT; "" is by MX.
func nextHop(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	_, err := router.ParseHop(s)
	return s, err
}

// transport reads PATTERN=NEXTHOP.
func transport(s string) (string, error) {
	pattern, hop, ok := strings.Cut(s, "=")
	if !ok || strings.TrimSpace(pattern) == "" {
		return "", fmt.Errorf("%q is not PATTERN=NEXTHOP", s)
	}
	_, err := router.ParseHop(strings.TrimSpace(hop))
	return s, err
}

// DestinationLimit is a word of relay.limits, read.
type DestinationLimit struct {
	Destination string // in lower case
	Rate        int    // messages a second; 0: no limit
	Connections int    // 0: as the general key says
}

// ParseLimit reads "DOMAIN rate=N connections=N".
func ParseLimit(s string) (l DestinationLimit, err error) {
	words := strings.Fields(s)
	if len(words) < 2 {
		return l, errors.New("want a destination and behind it rate=N, connections=N or both")
	}
	l.Destination = router.Fold(words[0])
	for _, w := range words[1:] {
		name, digits, _ := strings.Cut(w, "=")
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 {
			return l, fmt.Errorf("%q: behind = stands a number from 1 on", w)
		}
		switch name {
		case "rate":
			l.Rate = n
		case "connections":
			l.Connections = n
		default:
			return l, fmt.Errorf("%q is neither rate=N nor connections=N", w)
		}
	}
	return l, nil
}

func destinationLimit(s string) (string, error) {
	_, err := ParseLimit(s)
	return s, err
}

// RelayRules is where mail for other domains goes, as the keys say it; the error
// names the key.
func (c *Config) RelayRules() (*router.Transports, error) {
	t, err := router.NewTransports(c.Relay.Smarthost, c.Relay.Transports, c.Relay.SenderTransports)
	if err != nil {
		return nil, &Fault{Key: "relay.transports", Text: err.Error()}
	}
	return t, nil
}

// MayRelay says whether mail of this client for other domains is taken.
func (c *Config) MayRelay(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, n := range c.Relay.Networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// SourceAddr is the local address of connections to other hosts; nil: any.
func (c *Config) SourceAddr() *net.TCPAddr {
	if c.Relay.Source == "" {
		return nil
	}
	ip := netip.MustParseAddr(c.Relay.Source)
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
}
