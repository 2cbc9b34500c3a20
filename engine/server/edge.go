package server

import (
	"net/netip"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/limit"
	"postrider/engine/edge/tlsio"
)

// newEdge makes what all sessions share; the loops come later.
func (srv *Server) newEdge() *conn.Edge {
	c := srv.cfg
	lines, _ := limit.ParseRate(c.Log.ClientLines) // it was read before
	return &conn.Edge{
		Lines:   conn.NewLines(lines, srv.log.Logger),
		Log:     srv.log.Logger,
		Clients: conn.NewClients(c.Limits.Connections, c.Limits.ConnectionsPerClient, offeredBy(c)),
		Trusts:  srv.trusts, IsOwn: srv.isOwn, IsBalancer: c.IsBalancer,
	}
}

// tlsOfEdge is what handshakes with clients need.
func tlsOfEdge(c *config.Config, clients *tlsio.ClientStore) conn.TLS {
	h := tlsio.NewHandshaker(c.HandshakeTokens(), c.TLS.MaxHandshakes)
	h.Clients = clients
	return conn.TLS{Handshaker: h, Limit: c.TLS.HandshakeTimeout, Pace: conn.NewPace(c.TLS.ClientHandshakes, c.Policy.RateEntries)}
}

// offeredBy are the services that a configuration has addresses for.
func offeredBy(c *config.Config) (offered conn.Offered) {
	for _, l := range [][]config.SMTPListener{c.SMTP.Listen, c.SMTP.ListenTLS} {
		for _, at := range l {
			offered[serviceOf(at)] = true
		}
	}
	offered[conn.SubmissionService] = offered[conn.SubmissionService] || len(c.Submission.Listen)+len(c.Submission.ListenTLS) > 0
	offered[conn.POP3Service] = len(c.POP3.Listen)+len(c.POP3.ListenTLS) > 0
	offered[conn.WebService] = len(c.Web.Listen)+len(c.Web.ListenTLS) > 0
	return offered
}

// serviceOf is what an address of SMTP is for.
func serviceOf(at config.SMTPListener) conn.Service {
	if at.Auth == config.AuthRequired {
		return conn.SubmissionService
	}
	return conn.MailService
}

// isOwn reports whether an address is of a network of our own.
func (srv *Server) isOwn(ip netip.Addr) bool { return srv.trusts(ip) || srv.cfg.MayRelay(ip) }

// AdmitHTTP counts a connection of HTTP in, as SMTP and POP3 count theirs, or reports that
// there are too many. A proxy in web.proxies is not one client: its connections count in
// total only, as connections of our own networks do.
func (srv *Server) AdmitHTTP(ip netip.Addr) bool { return srv.edge.Admit(srv.httpClient(ip)) }

// LeaveHTTP counts it out.
func (srv *Server) LeaveHTTP(ip netip.Addr) { srv.edge.Leave(srv.httpClient(ip)) }

// httpClient is how a connection of HTTP is counted; the zero Addr is a client without a
// limit.
func (srv *Server) httpClient(ip netip.Addr) (client netip.Addr, at conn.Service, own bool) {
	for _, n := range srv.cfg.Web.Proxies {
		if n.Contains(ip.Unmap()) {
			return netip.Addr{}, conn.WebService, true
		}
	}
	return ip, conn.WebService, srv.isOwn(ip)
}
