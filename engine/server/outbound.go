package server

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/dns"
	"postrider/engine/front/admin"
	"postrider/engine/mail/router"
	"postrider/engine/relay/agent"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// NewResolver returns the resolver as cfg has it.
func NewResolver(cfg *config.Config, log *slog.Logger) *dns.Resolver {
	return dns.New(dns.Options{Servers: cfg.Relay.Resolvers, DNSSEC: dns.DNSSEC(cfg.Relay.DNSSEC), Questions: cfg.Process.Questions, Log: log})
}

// NewFinder returns what finds the hosts of next hops as cfg has it, for a server that
// takes mail at these addresses.
func NewFinder(cfg *config.Config, names *dns.Resolver, listeners []netip.AddrPort) *mx.Finder {
	return mx.New(names, hostOptions(cfg, listeners))
}

// hostOptions are how the hosts of next hops are found.
func hostOptions(cfg *config.Config, listeners []netip.AddrPort) mx.Options {
	rules, err := cfg.RelayRules()
	if err != nil { // there is no courier with such rules
		rules = new(router.Transports)
	}
	return mx.Options{
		Named: rules.Names, Private: cfg.Relay.PrivateNetworks,
		Port: uint16(cfg.Relay.Port), Families: mx.Families(cfg.Relay.Families),
		Own: mx.Listeners(listeners, net.InterfaceAddrs, time.Now), OwnNames: []string{cfg.Server.Hostname},
	}
}

// MostQuestions is how many questions to name servers are open at once.
const MostQuestions = dns.MaxQuestions

// newCourier makes what works the queue.
func (srv *Server) newCourier(log *slog.Logger) (*agent.Courier, error) {
	set, err := courierSettings(srv.config())
	if err != nil {
		return nil, err
	}
	return agent.New(set, srv.store, srv.router, srv.hosts, log)
}

// Operator is what the commands of an operator may do with the relay of a running
// server.
func (srv *Server) Operator() admin.Relay { return operator{srv} }

type operator struct{ srv *Server }

var _ admin.Relay = operator{}

// Bounce implements admin.Relay.
func (o operator) Bounce(ids []storage.EntryID, reason string) (returned []storage.EntryID, err error) {
	for _, id := range ids {
		e, err := o.srv.store.QueuedEntry(id)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return returned, err
		}
		o.srv.courier.Return(e, reason)
		returned = append(returned, id)
	}
	return returned, nil
}

// Flush implements admin.Relay.
func (o operator) Flush(domain string) {
	if domain != "" {
		o.srv.courier.Flush(domain)
		return
	}
	o.srv.courier.FlushAll()
}

// RelayStatus implements admin.Relay.
func (o operator) RelayStatus() (st admin.RelayStatus) {
	_, st.Sessions, st.Awake = o.srv.courier.Load()
	st.Dead = []admin.DeadDestination{}
	o.srv.courier.Sites(func(s queue.SiteStatus) {
		if !s.DeadTill.IsZero() {
			st.Dead = append(st.Dead, admin.DeadDestination{Destination: s.Hop, RetryAt: s.DeadTill, Reason: s.Fault.Text})
		} else if s.Waits != "" && s.Sessions == 0 {
			st.Waiting = append(st.Waiting, admin.WaitingDestination{Destination: s.Hop, Reason: s.Waits})
		}
	})
	return st
}
