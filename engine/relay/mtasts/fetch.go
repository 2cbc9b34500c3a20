package mtasts

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"postrider/engine/relay/tlspolicy"
)

// newClient makes the client of the fetches. Each has a connection of its own: there
// is one file to be read of a server, once a day.
func newClient(o Options, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	return &http.Client{
		Timeout: cmp.Or(o.Timeout, time.Minute),
		Transport: &http.Transport{
			DialContext:            dial,
			TLSClientConfig:        &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: tlspolicy.MaxPolicySize,
		},
		// A redirection is a failure (RFC 8461 section 3.3).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// maxAddrs is how many addresses of a web server are tried.
const maxAddrs = 3

// dial connects to a web server, at the addresses that Options.Hosts finds.
func (c *Cache) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, digits, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := c.hosts(ctx, host, uint16(port))
	if err != nil {
		return nil, err
	}
	return dialFirst(ctx, network, addrs[:min(maxAddrs, len(addrs))])
}

func dialFirst(ctx context.Context, network string, addrs []netip.AddrPort) (conn net.Conn, err error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	for _, a := range addrs {
		if conn, err = d.DialContext(ctx, network, a.String()); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// fetch gets the policy file of a domain.
func (c *Cache) fetch(domain string) (*tlspolicy.STS, error) {
	at := url.URL{Scheme: "https", Host: "mta-sts." + domain, Path: "/.well-known/mta-sts.txt"}
	if c.port != 443 {
		at.Host = net.JoinHostPort(at.Host, strconv.Itoa(int(c.port)))
	}
	req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s replied %s", at.Host, resp.Status)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, fmt.Errorf("%s sent %q instead of text/plain", at.Host, resp.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, tlspolicy.MaxPolicySize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > tlspolicy.MaxPolicySize {
		return nil, fmt.Errorf("%s sent more than %d octets", at.Host, tlspolicy.MaxPolicySize)
	}
	return tlspolicy.ParsePolicy(text)
}
