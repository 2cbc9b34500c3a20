package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Hosts are the names by which a server is asked for. Another site's page may have its own
// name lead to our address (DNS rebinding), and then is "the same origin" for a browser;
// the name in Host shows it.
type Hosts struct {
	// Names are the server's: its host name, and the names under which a proxy or a
	// network knows it. IP addresses, localhost and names without a dot are accepted
	// besides: they can't be names of another site.
	Names []string
	// Always: also check connections over a network. Else only connections over loopback
	// are checked, for the check does not make requests over a network safe.
	Always bool
}

// Only passes on what is asked for by one of the names; else it answers 421.
func (h Hosts) Only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (h.Always || overLoopback(r)) && !h.has(r.Host) {
			http.Error(w, "This server is not "+printable(r.Host)+". Use its address, its name, or one of web.hosts.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// has reports whether the value of a Host field names the server.
func (h Hosts) has(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") {
		return true
	}
	return slices.ContainsFunc(h.Names, func(name string) bool { return strings.EqualFold(strings.TrimSuffix(name, "."), host) })
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, text[:min(len(text), 100)])
}

// overLoopback reports whether a connection comes from this host.
func overLoopback(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local != nil {
		if at, err := netip.ParseAddrPort(local.String()); err == nil && at.Addr().Unmap().IsLoopback() {
			return true
		}
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// Proxies are the networks of proxies whose X-Forwarded fields are trusted.
type Proxies []netip.Prefix

// Has reports whether an address is a proxy's.
func (p Proxies) Has(ip netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(ip) })
}

type secureKey struct{}

// Believe puts the client that a proxy names (X-Forwarded-For) in the place of the proxy,
// and remembers whether the client came by HTTPS (X-Forwarded-Proto). Of several addresses
// the last one counts that is not a proxy's: the client may have written the ones
// before it.
func (p Proxies) Believe(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !p.Has(at.Addr().Unmap()) {
			next.ServeHTTP(w, r)
			return
		}
		client, port := at.Addr().Unmap(), at.Port()
		words := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, word := range slices.Backward(words[max(len(words)-50, 0):]) {
			ip, err := forwardedAddr(word)
			if err != nil {
				break
			}
			if client, port = ip, 0; !p.Has(ip) {
				break
			}
		}
		ctx := r.Context()
		if proto := r.Header.Values("X-Forwarded-Proto"); len(proto) == 1 && strings.EqualFold(strings.TrimSpace(proto[0]), "https") {
			ctx = context.WithValue(ctx, secureKey{}, true)
		}
		r = r.WithContext(ctx)
		r.RemoteAddr = netip.AddrPortFrom(client, port).String()
		next.ServeHTTP(w, r)
	})
}

// forwardedAddr reads an address as proxies write it, with a port or without.
func forwardedAddr(word string) (netip.Addr, error) {
	word = strings.TrimSpace(word)
	if at, err := netip.ParseAddrPort(word); err == nil {
		return at.Addr().Unmap().WithZone(""), nil
	}
	ip, err := netip.ParseAddr(strings.Trim(word, "[]"))
	return ip.Unmap().WithZone(""), err
}

// isSecure reports whether the client came by HTTPS, to us or to a proxy.
func isSecure(r *http.Request) bool {
	return r.TLS != nil || r.Context().Value(secureKey{}) != nil
}
