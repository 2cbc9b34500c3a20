package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/storage"
)

// ofProcess are the keys that apply on reload and that package server does not see: the
// process does it, or the commands that ask the running server for its settings.
var ofProcess = []string{
	"limits.drain_timeout", "log.to", "log.name", "log.format", "log.level", "auth.min_password", "auth.refused_passwords",
	"storage.free_floor", "web.listen", "web.listen_tls", "web.client", "web.profiling", "tls.acme_listen", "tls.acme_accept_terms",
}

// probe is a client that networks of the test hold.
var probe = netip.MustParseAddr("192.0.2.77")

// changed has another value for each key whose type does not tell one.
func changed(t *testing.T, data string) map[string]string {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return map[string]string{
		"smtp.listen": "127.0.0.2:0", "smtp.listen_tls": "127.0.0.1:0", "smtp.trusted_networks": "192.0.2.0/24",
		"submission.listen": "127.0.0.1:0", "submission.listen_tls": "127.0.0.1:0",
		"pop3.listen": "127.0.0.2:0", "pop3.listen_tls": "127.0.0.1:0",
		"tls.certificates": filepath.Join(data, "tls-selfsigned.pem"), "tls.client_roots": filepath.Join(data, "tls-selfsigned.pem"),
		"the roots before":      file("roots", read(t, filepath.Join(data, "tls-selfsigned.pem"))),
		"tls.client_handshakes": "7/1m0s", "relay.networks": "192.0.2.0/24", "relay.smarthost": "[smart.test]:2500",
		"relay.transports": "probe.test=[transport.test]", "relay.sender_transports": "probe@sender.test=[sender.test]",
		"relay.passwords": file("passwords", "[a.test] me:secret\n"), "relay.private_networks": "192.0.2.0/24", "relay.source": "127.0.0.1",
		"relay.tls": "probe.test encrypt", "relay.tls_default": "encrypt", "relay.tls_roots": filepath.Join(data, "tls-selfsigned.pem"), "relay.retry": "77s", "relay.limits": "probe.test rate=3",
		"policy.client_connections": "7/1m0s", "policy.network_connections": "7/1m0s", "policy.client_messages": "7/1m0s", "policy.network_messages": "7/1m0s",
		"policy.proxy_networks": "192.0.2.0/24", "policy.xclient_networks": "192.0.2.0/24", "policy.dnsbl": "list.test",
		"policy.client_questions": "7/1m0s", "policy.client_notifications": "7/1m0s",
		"server.hostname": "other.test", "server.domains": "other.test", "limits.memory": "64MiB", "log.client_lines": "7/1m0s",
		"tls.acme_domains": "other.test", "tls.acme_email": "me@other.test", "tls.acme_directory": "https://127.0.0.1:1/", "relay.resolvers": "127.0.0.1:1",
		"auth.mechanisms": "CRAM-MD5", "web.otlp": "http://127.0.0.1:1", "web.otlp_headers": file("headers", "X-Scope: probe\n"), "web.hosts": "probe.test", "web.proxies": "192.0.2.0/24",
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// change gives a key another value.
func change(t *testing.T, k *config.Key, values map[string]string) {
	t.Helper()
	before := k.Value()
	tries := []string{values[k.Name], "true", "false"}
	for word := range strings.SplitSeq(k.Allowed(), " ") {
		tries = append(tries, strings.Trim(word, `",`))
	}
	for _, try := range tries {
		if try != "" && k.Set(try) == nil && k.Value() != before {
			return
		}
	}
	t.Fatalf("%s: the test has no other value than %s; allowed: %s", k.Name, before, k.Allowed())
}

// rules are what the rooms of a server go by, read from the rooms.
func (srv *Server) rules() string {
	var b strings.Builder
	say := func(what string, v any) {
		b.WriteString(what + ": ")
		describe(&b, reflect.ValueOf(v))
		b.WriteString("\n")
	}
	smtpd, e := srv.smtpsrv.Settings(), srv.edge
	say("smtpsrv", *smtpd)
	say("client", []bool{smtpd.MayRelay(probe), smtpd.MayXclient(probe), e.IsOwn(probe), e.IsBalancer(probe), e.Trusts(probe), srv.IsProxy(probe)})
	say("entrance", *srv.entrance.Load())
	say("pop3srv", *srv.pop3srv.Settings())
	say("screen", *srv.guard.Settings())
	say("login", *srv.door.Settings())
	say("allowance", srv.sent.Limits())
	say("retention", *srv.retention.Settings())
	say("agent", *srv.courier.Settings())
	say("mx", srv.hosts.Options())
	say("router", *srv.router.Settings())
	say("history", srv.history.Settings())
	total, client, ours := e.Clients.Limits()
	say("conn", []any{total, client, ours})
	say("tls", []any{e.TLS.Limit.Load(), e.TLS.Handshaker.Limit(), e.TLS.Handshaker.Tokens(), e.TLS.Handshaker.Clients.Load() != nil, e.TLS.Pace.Rate()})
	if m := srv.tls.Load(); m != nil {
		set, c := m.Settings(), m.Configs()
		set.Data = ""
		say("certs", []any{set, m.Clients() != nil, c.SMTP.MinVersion, c.SMTPS.MinVersion, c.POP3S.ClientAuth})
	}
	say("memory", []any{srv.budget.Begin.Max(), srv.budget.Bulk.Max(), srv.budget.Listings.Max(), srv.budget.Held.Max()})
	say("workers", srv.auth.Workers())
	say("lines", e.Lines.Rate())
	say("dns", []any{srv.names.Servers(), srv.names.DNSSEC()})
	for _, l := range srv.Listening() {
		for _, at := range l.Addrs() {
			say("listening "+l.Name, at.Addr())
		}
	}
	say("otlp", *srv.otlp.Settings())
	if srv.web != nil {
		say("web", *srv.web.Settings())
	}
	if srv.view != nil {
		say("capture", *srv.view.Settings())
	}
	return b.String()
}

// describe writes a value with all that it leads to, except for functions and for other
// rooms.
func describe(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
	case reflect.Interface:
		if v.NumMethod() == 0 {
			describe(b, v.Elem())
		}
	case reflect.Pointer:
		if path := v.Type().Elem().PkgPath(); !v.IsNil() && (strings.HasSuffix(path, "/router") && v.Type().Elem().Name() == "Transports" || strings.HasSuffix(path, "/tlspolicy") || v.Type().Elem().Name() == "Hop" || path == "net") {
			describe(b, v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Prefix]() || v.Type() == reflect.TypeFor[netip.Addr]() {
			fmt.Fprint(b, v)
			return
		}
		b.WriteString("{")
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "Started" {
				continue
			}
			b.WriteString(v.Type().Field(i).Name + "=")
			describe(b, v.Field(i))
			b.WriteString(" ")
		}
		b.WriteString("}")
	case reflect.Map:
		var lines []string
		for _, k := range v.MapKeys() {
			var line strings.Builder
			describe(&line, k)
			line.WriteString("=")
			describe(&line, v.MapIndex(k))
			lines = append(lines, line.String())
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ","))
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			describe(b, v.Index(i))
			b.WriteString(",")
		}
	default:
		fmt.Fprint(b, v)
	}
}

// Each key that applies on reload is in the settings of a room after it, and the server then
// goes by the same rules as one that was started with the new configuration. See
// TestReload_TLSOnAndOff for tls.self_signed.
func TestReload_EveryKey(t *testing.T) {
	for name, capture := range map[string]bool{"a mail server": false, "capture mode": true} {
		t.Run(name, func(t *testing.T) {
			f := startReloadable(t, capture)
			values := changed(t, f.config().Server.Data)
			keys := 0
			for _, k := range config.Default().Keys() {
				if k.NeedsRestart() || slices.Contains(ofProcess, k.Name) || k.Name == "tls.self_signed" || (k.Group() == "capture") != capture {
					continue
				}
				keys++
				next, before := f.config().Clone(), f.rules()+f.bareLF(t, k.Name)
				change(t, next.Key(k.Name), values)
				if k.Name == "tls.client_certificates" {
					next.TLS.ClientRoots = values["the roots before"]
				}
				if err := next.Check(); err != nil {
					t.Fatalf("%s: %v", k.Name, err)
				}
				f.reload(t, next)
				if f.rules()+f.bareLF(t, k.Name) == before {
					t.Errorf("%s: %s is in no room", k.Name, next.Key(k.Name).Value())
				}
				f.wantAsStarted(t, k.Name, capture)
			}
			if want := map[bool]int{false: 115, true: 2}[capture]; keys < want {
				t.Errorf("%d keys only", keys)
			}
		})
	}
}

// bareLF is the reply to a message with a bare LF, for the key that decides about it: that is
// only in what opens connections.
func (f *fixture) bareLF(t *testing.T, key string) string {
	if key != "smtp.bare_lf" {
		return ""
	}
	p := f.dialSMTP(t)
	p.send("EHLO here.test\r\nMAIL FROM:<>\r\nRCPT TO:<mbrain@localhost>\r\nDATA\r\n")
	for !strings.HasPrefix(p.line(), "354") {
	}
	p.send("a\nb\r\n.\r\n")
	return p.line()[:3]
}

// startReloadable starts a server with the handlers of HTTP.
func startReloadable(t *testing.T, capture bool) *fixture {
	t.Helper()
	f := start(t, func(c *config.Config) {
		c.Capture.On = capture
		c.TLS.ACMEListen, c.TLS.ACMETerms = []string{"127.0.0.1:0"}, true // for tls.acme_domains
	}, func(s storage.Store) storage.Store {
		if capture {
			if _, err := s.AddAccount(storage.NewAccount{Name: config.CaptureAccount, Domain: "localhost"}); err != nil {
				t.Fatal(err)
			}
		}
		return s
	})
	f.handlers(t)
	return f
}

func (srv *Server) handlers(t *testing.T) {
	t.Helper()
	if srv.CaptureView(slog.New(slog.DiscardHandler)) != nil {
		return
	}
	if _, err := srv.WebClient(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

func (srv *Server) reload(t *testing.T, next *config.Config) {
	t.Helper()
	if err := srv.Reload(next); err != nil {
		t.Fatal(err)
	}
}

// wantAsStarted compares the server with one that is started with its configuration.
func (f *fixture) wantAsStarted(t *testing.T, key string, capture bool) {
	t.Helper()
	cfg := f.config().Clone()
	for _, l := range cfg.Listeners() {
		for i, addr := range l.Addrs {
			l.Addrs[i] = netip.AddrPortFrom(netip.MustParseAddrPort(addr).Addr(), 0).String()
		}
		l.Set(l.Addrs)
	}
	srv, err := New(cfg, f.store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	defer srv.Drain(ended)
	srv.handlers(t)
	if got, want := f.rules(), srv.rules(); got != want {
		t.Errorf("%s: after the reload there is\n%s\nafter a start\n%s", key, diffOf(got, want), diffOf(want, got))
	}
}

// diffOf are the lines of a that b does not have.
func diffOf(a, b string) string {
	var lines []string
	for line := range strings.SplitSeq(a, "\n") {
		if !strings.Contains(b, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// Without a certificate there is no STARTTLS, and with one there is again, for new sessions.
func TestReload_TLSOnAndOff(t *testing.T) {
	f := start(t, nil, nil)
	offers := func() bool {
		p := f.dialSMTP(t)
		p.send("EHLO here.test\r\n")
		all := ""
		for line := p.line(); ; line = p.line() {
			if all += line; strings.HasPrefix(line, "250 ") {
				return strings.Contains(all, "STARTTLS")
			}
		}
	}
	for _, on := range []bool{true, false, true, false} {
		next := f.config().Clone()
		next.TLS.SelfSigned = on
		f.reload(t, next)
		if offers() != on {
			t.Errorf("tls.self_signed is %v, and STARTTLS is offered: %v", on, !on)
		}
	}
	next := f.config().Clone()
	next.TLS.SelfSigned, next.SMTP.ListenTLS = true, []config.SMTPListener{{Addr: "127.0.0.1:0"}}
	f.reload(t, next)
	p := dialTLS(t, f.Addrs("smtps")[0], modern)
	if line := p.line(); !strings.HasPrefix(line, "220 ") {
		t.Errorf("by TLS from the first octet: %s", line)
	}
}

// A server that ends takes no new configuration: it would listen again.
func TestReload_NotWhileDraining(t *testing.T) {
	f := start(t, nil, nil)
	f.Drain(t.Context())
	next := f.config().Clone()
	next.Submission.Listen = []string{"127.0.0.1:0"}
	if err := f.Reload(next); err == nil || len(f.Addrs("submission")) != 0 {
		t.Errorf("%v, %v", err, f.Addrs("submission"))
	}
}
