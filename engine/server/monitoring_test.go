package server

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"postrider/engine/config"
)

// Each figure that the dashboard and the alert rules ask for is one that the server has, and
// the metrics keep the rules of Prometheus.
func TestMonitoring(t *testing.T) {
	f := start(t, withTLS, nil)
	f.deliver(t, "mbrain@localhost", "Subject: one\r\n\r\none\r\n")
	f.login(t, "mbrain")
	registry := f.registry
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "go_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	for _, m := range families {
		have[m.GetName()] = true
		if n := m.GetName(); (n == "postrider_accept_seconds" || n == "postrider_store_sync_seconds" || n == "postrider_login_seconds") && m.GetMetric()[0].GetHistogram().GetSampleCount() == 0 {
			t.Errorf("%s has counted nothing", n)
		}
	}
	name := regexp.MustCompile(`postrider_[a-z0-9_]+`)
	asked := 0
	for _, file := range monitoringFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllString(string(text), -1) {
			asked++
			if base := strings.TrimSuffix(m, "_bucket"); !have[base] {
				t.Errorf("%s asks for %s, which the server does not have", file, m)
			}
		}
	}
	if asked < 20 {
		t.Errorf("%d figures are asked for: were the files read?", asked)
	}
}

func monitoringFiles(t *testing.T) []string {
	t.Helper()
	all, err := fs.Glob(os.DirFS("."), "monitoring/*")
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	return all
}

// The profiles are served when the operator asks for them, and not otherwise.
func TestProfiles(t *testing.T) {
	for _, on := range []bool{false, true} {
		f := start(t, func(cfg *config.Config) { cfg.Web.Profiling = on }, nil)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/symbol"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", path, nil)
			r.Host = "127.0.0.1"
			f.HTTP().ServeHTTP(w, r)
			if want := map[bool]int{false: 404, true: 200}[on]; w.Code != want {
				t.Errorf("web.profiling = %v: %s answers %d, want %d", on, path, w.Code, want)
			}
		}
	}
}
