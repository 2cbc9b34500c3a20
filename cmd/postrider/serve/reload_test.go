package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/host/maillog"
	"postrider/engine/server"
	"postrider/storage"
	"postrider/storage/lsm"
)

// startRunning runs a server without sessions, whose file is what next holds.
func startRunning(t *testing.T) (r *running, next **config.Config) {
	t.Helper()
	cfg := config.Default()
	cfg.Server.Data = filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(cfg.Server.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg.SMTP.Listen, cfg.POP3.Listen = []config.SMTPListener{{Addr: "127.0.0.1:0"}}, []string{"127.0.0.1:0"}
	asked := cfg.Clone()
	lines, err := maillog.Open(logSettings(cfg))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := server.Sockets(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	share, err := setFilesAside(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.NewOn(sockets, cfg, store, log)
	if err != nil {
		t.Fatal(err)
	}
	file := asked.Clone()
	r = &running{load: func() (*config.Config, error) { return file.Clone(), nil }, srv: srv, store: store, lines: lines, sockets: sockets, log: log, manager: new(notifier), share: share, asked: asked,
		from: &origin{program: "/nowhere"}, started: time.Now(), ready: make(chan struct{}), orders: make(chan *handover, 1)}
	r.cfg.Store(cfg)
	web, err := serveHTTP(t.Context(), &httpParams{cfg, sockets, srv, store, log, time.Now(), r})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	close(r.ready)
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Drain(ended)
		web.end(ended, log)
		sockets.Close()
		lines.Close()
		if err := store.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
			t.Error(err)
		}
	})
	return r, &file
}

// otherValues are for keys whose help does not tell one.
var otherValues = map[string]string{
	"server.hostname": "other.test", "server.domains": "other.test", "server.data": "/other", "server.mail_socket": "/other", "server.user": "other",
	"web.listen": "127.0.0.1:0", "web.listen_tls": "127.0.0.1:0", "tls.certificates": "/other", "tls.client_roots": "/other", "tls.acme_domains": "other.test",
	"tls.acme_listen": "127.0.0.1:0", "tls.acme_email": "me@other.test", "tls.acme_directory": "https://other.test/", "relay.resolvers": "127.0.0.1:53",
	"log.name": "other", "log.client_lines": "7/1m0s", "auth.refused_passwords": "/other",
}

// ofProcess are the keys that no room of the server has: the process reads them itself, or
// tells them to the commands that set passwords.
var ofProcess = []string{"storage.free_floor", "limits.drain_timeout", "auth.min_password", "auth.refused_passwords"}

// A key that needs a restart is answered so, each time, and keeps its value; the keys of the
// process apply. Package server has the test of all others.
func TestReload_KeysOfTheProcess(t *testing.T) {
	r, file := startRunning(t)
	defaults := (*file).Clone()
	log := filepath.Join(t.TempDir(), "log")
	otherValues["log.to"] = log
	tested := 0
	for _, k := range config.Default().Keys() {
		if !k.NeedsRestart() && k.Group() != "log" && !slices.Contains(ofProcess, k.Name) {
			continue
		}
		tested++
		*file = defaults.Clone()
		key := (*file).Key(k.Name)
		for _, try := range append([]string{otherValues[k.Name], "true", "false"}, strings.Split(strings.ReplaceAll(k.Allowed(), `"`, ""), " ")...) {
			if try = strings.Trim(try, ","); try != "" && key.Set(try) == nil && key.Value() != k.Value() {
				break
			}
		}
		want, was := key.Value(), r.cfg.Load().Key(k.Name).Value()
		for range 2 {
			done := r.reload()
			if done.Error != "" {
				t.Fatalf("%s = %s: %s", k.Name, want, done.Error)
			}
			if k.NeedsRestart() && (len(done.Changes) != 1 || done.Changes[0].Key != k.Name || done.Changes[0].Applied || done.Changes[0].New != want) {
				t.Errorf("%s = %s: %v", k.Name, want, done.Changes)
			}
		}
		if k.NeedsRestart() {
			want = was
		}
		if got := r.cfg.Load().Key(k.Name).Value(); got != want {
			t.Errorf("%s is %s, want %s", k.Name, got, want)
		}
		if got := r.lines.Settings(); got != logSettings(r.cfg.Load()) {
			t.Errorf("%s: the log goes by %+v", k.Name, got)
		}
		*file = defaults.Clone()
		if done := r.reload(); done.Error != "" {
			t.Fatal(done.Error)
		}
	}
	if tested < 15 {
		t.Errorf("%d keys only", tested)
	}
}

// At an error no key is applied, also none that comes before the key that is wrong,
// and the exit code is that of a configuration.
func TestReload_AllOrNothing(t *testing.T) {
	r, file := startRunning(t)
	before := r.cfg.Load()
	lines := r.lines.Settings()
	for key, value := range map[string]string{"relay.passwords": "/nowhere", "relay.tls_roots": "/nowhere", "pop3.listen": "192.0.2.1:110", "smtp.listen": before.POP3.Listen[0]} {
		*file = r.asked.Clone()
		for name, word := range map[string]string{"smtp.max_hops": "101", "log.level": "debug", "server.domains": "left.test", key: value} {
			if err := (*file).Key(name).Set(word); err != nil {
				t.Fatal(err)
			}
		}
		done := r.reload()
		if !strings.Contains(done.Error, key) && !strings.Contains(done.Error, value) || done.Code != int(sysexits.Config) || len(done.Changes) != 0 {
			t.Errorf("%s: %+v", key, done)
		}
		if r.cfg.Load() != before || r.lines.Settings() != lines {
			t.Errorf("%s: something has changed", key)
		}
		if slices.Contains(r.store.Domains(), "left.test") {
			t.Errorf("%s: a domain is left that the server does not go by", key)
		}
	}
}

// The next process finds a socket that is kept at a reload by the address that the file has now.
func TestReload_OtherSpelling(t *testing.T) {
	r, file := startRunning(t)
	bound := r.cfg.Load().POP3.Listen[0]
	if list := r.sockets.Listed(); strings.Contains(list, bound) || strings.Count(list, `"127.0.0.1:0"`) != 2 {
		t.Fatal(list)
	}
	for n, addr := range []string{bound, "127.0.0.1:0"} { // the second is another one
		if err := (*file).Key("pop3.listen").Set(addr); err != nil {
			t.Fatal(err)
		}
		if done := r.reload(); done.Error != "" || len(done.Changes) != 1 {
			t.Fatalf("%+v", done)
		}
		if now := r.cfg.Load().POP3.Listen; len(now) != n+1 || now[0] != bound || n > 0 && now[1] == bound {
			t.Errorf("the address is not kept: %q", now)
		}
		if list := r.sockets.Listed(); strings.Count(list, bound) != 1 || strings.Count(list, `"127.0.0.1:0"`) != n+1 {
			t.Error(list)
		}
	}
}

// While the server is about to end, a reload is refused, and still opens the file of the log again.
func TestReload_AtTheEnd(t *testing.T) {
	r, file := startRunning(t)
	path := filepath.Join(t.TempDir(), "log")
	(*file).Log.To = path
	if done := r.reload(); done.Error != "" {
		t.Fatal(done.Error)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	said := new(bytes.Buffer)
	r.log = slog.New(slog.NewTextHandler(said, nil))
	r.stage.Store(replacing)
	done := r.reload()
	const want = "a restart is under way already"
	if done.Error != want || done.Code != int(sysexits.TempFail) || done.Changes == nil || !strings.Contains(said.String(), want) {
		t.Errorf("%+v %q", done, said)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file of the log is not opened again: %v", err)
	}
}

// A SIGHUP that comes before the server is ready ends nothing, and is carried out when it is.
func TestHangupBeforeTheServerIsReady(t *testing.T) {
	hangups := hangup()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r, file := startRunning(t)
	if err := (*file).Key("smtp.max_hops").Set("101"); err != nil {
		t.Fatal(err)
	}
	stop := r.onHangup(hangups)
	for until := time.Now().Add(time.Minute); r.cfg.Load().SMTP.MaxHops != 101; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the signal is lost")
		}
	}
	stop()
}
