package server

import (
	"net/netip"
	"sync/atomic"

	"postrider/engine/config"
	"postrider/engine/edge/certs"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/limit"
	"postrider/engine/edge/tlsio"
)

// newEdge makes what all sessions share; the loops come later.
func (srv *Server) newEdge() *conn.Edge {
	c := srv.config()
	return &conn.Edge{
		Lines:   conn.NewLines(clientLines(c), srv.log.Logger),
		Log:     srv.log.Logger,
		Clients: conn.NewClients(c.Limits.Connections, c.Limits.ConnectionsPerClient, offeredBy(c)),
		Trusts:  srv.trusts, IsOwn: srv.isOwn, IsBalancer: srv.isBalancer,
	}
}

// clientLines is log.client_lines, which was checked when it was read.
func clientLines(c *config.Config) limit.Rate {
	r, _ := limit.ParseRate(c.Log.ClientLines)
	return r
}

// tlsOfEdge is what handshakes with clients need.
func tlsOfEdge(c *config.Config, m *certs.Manager) conn.TLS {
	h := tlsio.NewHandshaker(c.HandshakeTokens(), c.TLS.MaxHandshakes)
	if m != nil {
		h.Clients.Store(m.Clients())
	}
	limit := new(atomic.Int64)
	limit.Store(int64(c.TLS.HandshakeTimeout))
	return conn.TLS{Handshaker: h, Limit: limit, Pace: conn.NewPace(c.TLS.ClientHandshakes, c.Policy.RateEntries)}
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

// AdmitHTTP counts a connection of HTTP, as SMTP and POP3 count theirs; leave counts it
// out. nil: there are too many. A proxy in web.proxies is not one client: its connections
// count in total only, as connections of our own networks do.
func (srv *Server) AdmitHTTP(ip netip.Addr) (leave func()) {
	client, at, own := srv.httpClient(ip)
	if !srv.edge.Admit(client, at, own) {
		return nil
	}
	return func() { srv.edge.Leave(client, at, own) }
}
