package inspect

import (
	"net/mail"
	"slices"
	"strings"
)

// names looks at the names that other hosts will see.
func (r *report) names() {
	at, ok := r.public("smtp.listen", "smtp.listen_tls", "submission.listen")
	if !ok {
		return
	}
	if h := r.Server.Hostname; !strings.Contains(h, ".") {
		r.warn("server.hostname", "%s is not a name that other hosts can look up, and many refuse mail of such a host: set the full name of this host, as mail.example.org", h)
	}
	if slices.Equal(r.Server.Domains, []string{"localhost"}) {
		r.warn("server.domains", "mail is taken for localhost only, though other hosts can connect to %s (%s): name your domains, as example.org, unless all are made with \"postrider domain add\"", at.text, at.key)
	}
	if len(r.TLS.ACMEDomains) > 0 {
		r.acme()
	}
}

// acme looks at how certificates are obtained.
func (r *report) acme() {
	for _, d := range r.TLS.ACMEDomains {
		if !strings.Contains(d, ".") {
			r.fault("tls.acme_domains", "%s is not a name that an authority can reach: give the full name of this host", d)
		}
	}
	if !slices.ContainsFunc(r.TLS.ACMEListen, func(addr string) bool { return strings.HasSuffix(addr, ":80") }) {
		r.warn("tls.acme_listen", "no address has port 80, which the authority connects to: add \"0.0.0.0:80\", unless another program hands port 80 on")
	}
	if e := r.TLS.ACMEEmail; e != "" {
		if _, err := mail.ParseAddress(e); err != nil {
			r.fault("tls.acme_email", "%q is not an address: %v", e, err)
		}
	}
	if len(r.TLS.Certificates) > 0 {
		r.warn("tls.acme_domains", "tls.certificates is set, too: remove one of the two, so that it is clear which certificates count")
	}
}

// sizes looks at values that do not go together, and at the memory of the machine.
func (r *report) sizes() {
	c := &r.Relay
	if c.WarnAfter >= c.Lifetime && c.WarnAfter > 0 {
		r.warn("relay.warn_after", "it is not shorter than relay.lifetime, so no sender is warned of a delay: make it shorter, or 0")
	}
	if len(c.Retry) > 0 && c.Retry[0] >= c.Lifetime {
		r.warn("relay.retry", "the first wait is not shorter than relay.lifetime, so a message is tried once only: make it shorter")
	}
	if c.InitialConnections > c.ConnectionsPerDestination {
		r.warn("relay.initial_connections", "it is larger than relay.connections_per_destination, %d, which counts: lower it, or raise the other", c.ConnectionsPerDestination)
	}
	if r.Limits.ConnectionsPerClient > r.Limits.Connections && r.Key("limits.connections_per_client").Line() > 0 {
		r.warn("limits.connections_per_client", "it is larger than limits.connections, %d: one client can take all of them; lower it", r.Limits.Connections)
	}
	memory := r.world.Memory
	if memory == 0 {
		return
	}
	// The store has up to 8 memtables (storage.memtable).
	if need := r.Storage.Cache + 8*r.Storage.Memtable + r.Limits.Memory; need > memory {
		r.fault(r.largest(), "storage.cache, 8 times storage.memtable and limits.memory are %d MiB, and this machine has %d MiB of memory: the kernel would kill the server; lower them", need>>20, memory>>20)
	}
	if need := int64(r.AuthWorkers()) * r.Auth.Memory; need > memory/2 {
		r.fault("auth.argon2_memory", "%d logins at once (auth.workers) would take %d MiB, and this machine has %d MiB of memory: lower one of the two", r.AuthWorkers(), need>>20, memory>>20)
	}
}

// largest is the key that takes most of the memory.
func (r *report) largest() string {
	switch most := max(r.Storage.Cache, 8*r.Storage.Memtable, r.Limits.Memory); most {
	case r.Storage.Cache:
		return "storage.cache"
	case r.Limits.Memory:
		return "limits.memory"
	}
	return "storage.memtable"
}
