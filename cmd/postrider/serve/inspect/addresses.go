package inspect

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"postrider/engine/config"
	"postrider/engine/edge/loop"
	"postrider/engine/edge/privilege"
)

// bound is an address that is listened on.
type bound struct {
	key, text string
	at        netip.AddrPort
}

// addresses are all addresses with a port of the configuration that can be told apart.
func (r *report) addresses() (all []bound) {
	for _, part := range r.Listeners() {
		for _, text := range part.Addrs {
			host, port, err := net.SplitHostPort(text)
			if err != nil {
				continue
			}
			if host == "" {
				host = "::"
			}
			if host == "localhost" {
				host = "127.0.0.1"
			}
			if at, err := netip.ParseAddrPort(net.JoinHostPort(host, port)); err == nil {
				all = append(all, bound{part.Key, text, at})
			}
		}
	}
	return all
}

// isPublic reports whether other hosts can connect to an address.
func (b bound) isPublic() bool { return !b.at.Addr().IsLoopback() }

// listeners looks at the addresses: twice the same, taken, not ours.
func (r *report) listeners() {
	all := r.addresses()
	for i, b := range all {
		twice := slices.IndexFunc(all[:i], func(o bound) bool { return o.at.Port() != 0 && overlap(o.at, b.at) })
		if twice >= 0 {
			r.fault(b.key, "%s and %s of %s are the same address: give each protocol a port of its own", b.text, all[twice].text, all[twice].key)
			continue
		}
		r.bindable(b)
		r.usualPort(b)
	}
	if f := AsRoot(r.Config, r.world.UID); f != nil {
		r.fault(f.Key, "%s", f.Text)
	}
}

// AsRoot is the fault of a server that would run as root, as this user, and listen for other
// hosts; nil: it would not.
func AsRoot(cfg *config.Config, uid int) *config.Fault {
	if uid != 0 || cfg.Server.User != "" {
		return nil
	}
	for _, part := range cfg.Listeners() {
		for _, text := range part.Addrs {
			if host, _, err := net.SplitHostPort(text); err != nil || !isLoopbackHost(host) {
				return cfg.FaultOf(part.Key, text+": the server would listen for other hosts as root: set server.user to the user to run as, or to \"root\" to allow it")
			}
		}
	}
	return nil
}

// isLoopbackHost reports whether only this host can connect to the host of an address.
func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

func overlap(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// bindable binds an address for a moment. Addresses of our own running server are taken
// by it.
func (r *report) bindable(b bound) {
	if b.at.Port() == 0 || slices.ContainsFunc(r.world.Own, func(text string) bool {
		own, err := netip.ParseAddrPort(text)
		return err == nil && overlap(own, b.at)
	}) {
		return
	}
	sockets, err := privilege.Bind([]privilege.Listeners{{Name: b.key, Key: b.key, Addrs: []string{b.text}, Set: func([]string) {}}}, nil, loop.Config{})
	if err == nil {
		sockets.Close()
		return
	}
	text := strings.TrimPrefix(err.Error(), b.key+" ")
	if errors.Is(err, fs.ErrPermission) && r.world.UID != 0 {
		r.warn(b.key, "this user can't try it: %s", text)
		return
	}
	if holder := r.world.Holder(b.text); errors.Is(err, syscall.EADDRINUSE) && holder != "" {
		text += "; " + holder
	}
	r.fault(b.key, "%s", text)
}

// usualPorts are ports where clients expect one way of TLS, and the key that is for it.
var usualPorts = map[uint16]struct {
	implicit bool
	key      string
}{
	25: {false, "smtp.listen"}, 587: {false, "submission.listen"}, 110: {false, "pop3.listen"},
	465: {true, "submission.listen_tls"}, 995: {true, "pop3.listen_tls"},
	80: {false, "web.listen"}, 443: {true, "web.listen_tls"},
}

// usualPort warns of TLS at a port where clients begin without it, and the reverse.
func (r *report) usualPort(b bound) {
	usual, ok := usualPorts[b.at.Port()]
	implicit := strings.HasSuffix(b.key, "_tls")
	switch {
	case !ok || usual.implicit == implicit:
	case implicit:
		r.warn(b.key, "%s: clients begin without TLS at port %d and will hang here: it belongs in %s", b.text, b.at.Port(), usual.key)
	default:
		r.warn(b.key, "%s: clients begin with TLS at port %d and will fail here: it belongs in %s", b.text, b.at.Port(), usual.key)
	}
}

// public is the first address of a protocol that other hosts can connect to.
func (r *report) public(keys ...string) (b bound, ok bool) {
	for _, b := range r.addresses() {
		if b.isPublic() && (len(keys) == 0 || slices.Contains(keys, b.key)) {
			return b, true
		}
	}
	return b, false
}

// logins looks at what passwords are sent through.
func (r *report) logins() {
	at, ok := r.public("submission.listen", "pop3.listen", "smtp.listen")
	if !ok {
		return
	}
	if r.Auth.ClearText {
		r.warn("auth.plaintext_without_tls", "passwords are taken without TLS from other hosts, and can be read on the way: leave it at false, clients can use STARTTLS")
	}
	if at, ok := r.public("submission.listen", "pop3.listen"); ok && !r.HasTLS() && !r.Auth.ClearText {
		r.fault("tls.self_signed", "without a certificate no client of another host can log in at %s %s: name tls.certificates or tls.acme_domains, or set tls.self_signed", at.key, at.text)
	}
	if r.Capture.On {
		r.warn("capture.on", "everything is taken from every host at %s %s, and any password is good: listen on 127.0.0.1, or set it to false", at.key, at.text)
	}
	if r.Storage.Durability == config.DurabilityNone {
		r.warn("storage.durability", "nothing is synced: mail that was accepted is lost when the machine fails; use \"commit\" outside of tests")
	}
}
