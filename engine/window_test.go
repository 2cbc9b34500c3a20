package engine

import (
	"net/netip"
	"testing"

	"postrider/engine/config"
)

// Pages take up to two thirds of what large messages have, and never more than is free.
func TestPagesTakeFromTheBudget(t *testing.T) {
	b := newBudget(64 << 20)
	if !b.pages.Reserve(16<<20) || b.pages.Reserve(1) || b.used() != 16<<20 {
		t.Errorf("%d octets are booked", b.used())
	}
	b.pages.Release(16 << 20)
	if !b.bulk.Reserve(22<<20) || b.pages.Reserve(4<<20) || !b.pages.Reserve(2<<20) {
		t.Errorf("%d octets are booked", b.used())
	}
	b.pages.Release(2 << 20)
	b.bulk.Release(22 << 20)
	if b.used() != 0 || b.pages.used.Load() != 0 {
		t.Errorf("%d octets are still booked", b.used())
	}
}

// Connections of HTTP count with those of SMTP and POP3; a proxy is many clients.
func TestConnectionsOfHTTPCount(t *testing.T) {
	cfg := config.Default()
	cfg.Web.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	srv := &Server{cfg: cfg, clients: newClients(10, 3)}
	client, proxy := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:10.1.1.1")
	if !srv.clients.admit(client) || !srv.AdmitHTTP(client) || !srv.AdmitHTTP(client) || srv.AdmitHTTP(client) || srv.clients.admit(client) {
		t.Error("one client")
	}
	for range 7 {
		if !srv.AdmitHTTP(proxy) {
			t.Error("a proxy is refused")
		}
	}
	if srv.AdmitHTTP(proxy) || srv.clients.total != 10 {
		t.Error("more than limits.connections")
	}
	for range 7 {
		srv.LeaveHTTP(proxy)
	}
	srv.LeaveHTTP(client)
	srv.LeaveHTTP(client)
	srv.clients.leave(client)
	if srv.clients.total != 0 || len(srv.clients.by) != 0 {
		t.Errorf("%+v", srv.clients)
	}
}
