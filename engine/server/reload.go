package server

import (
	"fmt"
	"slices"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/dns"
	"postrider/engine/edge/privilege"
	"postrider/storage"
)

// Reload has the server go by another configuration, in which the keys that need a restart
// have the values that they had. Everything that can fail comes first: at an error nothing
// has changed. Sessions that are open keep the rules that they began with, and no state of a
// room is lost. The one error that comes late is that of a listener on a socket that is bound:
// then the addresses are not changed, and all other keys are.
//
// Addresses that next adds are bound; next gets the ports that were picked for port 0. What
// serves HTTP takes its sockets from Sockets, and drops sockets that are gone. One call at a
// time.
func (srv *Server) Reload(next *config.Config) error {
	srv.reloading.Lock() // Drain waits for the end
	defer srv.reloading.Unlock()
	if srv.draining.Load() {
		return fmt.Errorf("%w: the server is about to end", storage.ErrTemporary)
	}
	set, err := courierSettings(next)
	if err != nil {
		return err
	}
	relay, err := srv.courier.Prepare(set)
	if err != nil {
		return err
	}
	collector, err := otlpSettings(next)
	if err != nil {
		return err
	}
	certificates, err := srv.prepareTLS(next)
	if err != nil {
		return err
	}
	added, err := srv.openSockets(next)
	if err != nil {
		return err
	}
	for _, s := range added {
		srv.sockets.Keep(s)
	}

	srv.live.Store(next)
	srv.configureTLS(next, certificates)
	srv.budget.Resize(next.Limits.Memory)
	srv.auth.Resize(next.AuthWorkers())
	srv.names.Configure(next.Relay.Resolvers, dns.DNSSEC(next.Relay.DNSSEC))
	srv.history.Configure(historySettings(next))
	in := srv.newEntrance(next)
	srv.entrance.Store(in)
	srv.configureEdge(next)
	srv.router.Configure(next.RouterSettings())
	srv.guard.Configure(screenSettings(next))
	srv.door.Configure(srv.doorSettings(next))
	srv.sent.Configure(allowances(next))
	srv.retention.Configure(next.Retention())
	srv.smtpsrv.Configure(smtpSettings(next, in))
	srv.pop3srv.Configure(pop3Settings(next))
	late := srv.rejoin(next)
	srv.hosts.Configure(hostOptions(next, srv.Addrs("smtp")))
	srv.courier.Configure(relay, in)
	srv.otlp.Configure(collector)
	if srv.web != nil {
		srv.web.Configure(srv.webConfig(next, srv.log.Logger))
	}
	if srv.view != nil {
		now := *srv.view.Settings()
		now.Keep, now.Age, now.Bounds = next.Capture.Keep, next.Capture.Age, srv.webBounds()
		srv.view.Configure(now)
	}
	return late
}

// configureEdge sets the limits for all connections.
func (srv *Server) configureEdge(c *config.Config) {
	srv.group.SetMaxConns(conn.MaxConns(c.Limits.Connections), conn.SpareConns(c.Limits.Connections))
	srv.edge.Clients.Configure(c.Limits.Connections, c.Limits.ConnectionsPerClient, offeredBy(c))
	srv.edge.Lines.Configure(clientLines(c))
}

// openSockets binds the addresses that next adds, addresses of HTTP too, and sets them in next as
// they are bound.
func (srv *Server) openSockets(next *config.Config) (added []privilege.New, err error) {
	defer func() {
		for _, s := range added {
			if err != nil {
				s.Close()
			}
		}
	}()
	for _, at := range Listeners(next) {
		old, addrs := srv.byAddress(at.Name), slices.Clone(at.Addrs)
		for i, addr := range addrs {
			if old[addr] != nil || srv.sockets.File(at.Name, addr) != nil {
				continue
			}
			s, err := privilege.Open(at.Name, at.Key, addr, kernel)
			if err != nil {
				return added, srv.explainBind(addr, err)
			}
			added = append(added, s)
			addrs[i] = s.Addr()
		}
		at.Set(addrs)
	}
	return added, nil
}

// explainBind adds to an error that this server itself has the address, if it has.
func (srv *Server) explainBind(addr string, err error) error {
	for _, l := range Listeners(srv.config()) {
		if slices.Contains(l.Addrs, addr) {
			return fmt.Errorf("%w. This server listens there for %s: reload without it first", err, l.Key)
		}
	}
	return err
}

// rejoin listens on the addresses of next, and closes the listeners that it does not have.
// Sessions that came by them go on.
func (srv *Server) rejoin(next *config.Config) error {
	before := srv.Listening()
	if err := srv.listen(next); err != nil {
		return fmt.Errorf("the other keys are applied, and the addresses are not changed: %w", err)
	}
	for _, was := range before {
		kept := srv.byAddress(was.Name)
		for i, l := range was.listeners {
			if kept[was.keys[i]] != l {
				l.Close()
				srv.sockets.Drop(was.Name, was.keys[i])
			}
		}
	}
	return nil
}
