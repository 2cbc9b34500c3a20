package server

import (
	"encoding/json"
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"postrider/engine/config"
)

// monitored is a server that has done a little of everything.
func monitored(t *testing.T) *fixture {
	t.Helper()
	f := start(t, withTLS, nil)
	f.deliver(t, "mbrain@localhost", "Subject: one\r\n\r\none\r\n")
	p := f.login(t, "mbrain")
	p.say("RETR 1", "+OK")
	p.listing()
	until(t, "the queue is counted", func() bool { return f.ages.look() != nil })
	return f
}

// gathered are the metrics of a server by their names.
func (f *fixture) gathered(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]*dto.MetricFamily)
	for _, m := range families {
		have[m.GetName()] = m
	}
	return have
}

// The metrics keep the rules of Prometheus, and each histogram has counted something.
func TestMetricsKeepTheRules(t *testing.T) {
	f := monitored(t)
	problems, err := testutil.GatherAndLint(f.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "go_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	have := f.gathered(t)
	for _, name := range []string{"accept_seconds", "commit_seconds", "local_delay_seconds", "store_sync_seconds", "login_seconds", "retrieve_seconds"} {
		n := uint64(0)
		for _, m := range have["postrider_"+name].GetMetric() {
			n += m.GetHistogram().GetSampleCount()
		}
		if n == 0 {
			t.Errorf("%s has counted nothing", name)
		}
	}
}

// Each figure that the dashboard and the alert rules ask for is one that the server has, with
// the labels that they ask for and, where a value is named, with that value.
func TestMonitoring(t *testing.T) {
	have, asked := monitored(t).gathered(t), 0
	for _, file := range monitoringFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range figure.FindAllString(string(text), -1) {
			if have[familyOf(name)] == nil {
				t.Errorf("%s asks for %s, which the server does not have", file, name)
			}
		}
		for _, q := range queries(t, file, text) {
			asked++
			for _, wrong := range wrongLabels(q, have) {
				t.Errorf("%s: %s: %s", file, q, wrong)
			}
		}
	}
	if asked < 60 {
		t.Errorf("%d queries: were the files read?", asked)
	}
}

// The check of labels finds what is wrong.
func TestMonitoring_findsWrongLabels(t *testing.T) {
	have := monitored(t).gathered(t)
	f := func(query, want string) {
		t.Helper()
		if got := strings.Join(wrongLabels(query, have), "; "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	f(`sum by (listener, instance) (rate(postrider_replies_total{listener="smtp",kind=~"4yz|5yz"}[5m]))`, "")
	f(`histogram_quantile(0.9, sum by (le) (rate(postrider_login_seconds_bucket{result="granted"}[5m])))`, "")
	f(`postrider_replies_total{lisstener="smtp"}`, "postrider_replies_total has no label lisstener")
	f(`postrider_replies_total{listener="smpt"}`, `postrider_replies_total has no listener "smpt"`)
	f(`postrider_replies_total{kind=~"4yz|6yz"}`, `postrider_replies_total has no kind "6yz"`)
	f(`sum by (listenr) (postrider_replies_total)`, "no metric of the query has a label listenr")
	f(`sum by (le) (postrider_replies_total)`, "no metric of the query has a label le")
}

var (
	figure   = regexp.MustCompile(`postrider_[a-z0-9_]+`)
	selected = regexp.MustCompile(`(postrider_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left)\s*\(([^)]*)\)`)
	rule     = regexp.MustCompile(`(?m)^\s+expr: (.*)$`)
)

// familyOf is the metric that a series belongs to.
func familyOf(series string) string {
	for _, part := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(series, part); ok && strings.HasSuffix(base, "_seconds") {
			return base
		}
	}
	return series
}

// queries are the queries of a file.
func queries(t *testing.T, file string, text []byte) (all []string) {
	t.Helper()
	if strings.HasSuffix(file, ".yml") {
		for _, m := range rule.FindAllStringSubmatch(string(text), -1) {
			all = append(all, m[1])
		}
		return all
	}
	var board struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

// wrongLabels are the labels and values of a query that no metric of it has.
func wrongLabels(query string, have map[string]*dto.MetricFamily) (wrong []string) {
	all := []string{"instance", "job"} // that Prometheus adds
	for _, sel := range selected.FindAllStringSubmatch(query, -1) {
		family := have[familyOf(sel[1])]
		values := labelsOf(family)
		for label := range values {
			all = append(all, label)
		}
		if strings.HasSuffix(sel[1], "_bucket") {
			all = append(all, "le")
		}
		for _, m := range matcher.FindAllStringSubmatch(sel[2], -1) {
			if m[1] == "instance" || m[1] == "job" {
				continue
			}
			if values[m[1]] == nil {
				wrong = append(wrong, family.GetName()+" has no label "+m[1])
				continue
			}
			for value := range strings.SplitSeq(m[2], "|") {
				if !strings.ContainsAny(value, ".*+") && !slices.Contains(values[m[1]], value) {
					wrong = append(wrong, family.GetName()+" has no "+m[1]+` "`+value+`"`)
				}
			}
		}
	}
	for _, group := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(group[1], ",") {
			if label = strings.TrimSpace(label); label != "" && !slices.Contains(all, label) {
				wrong = append(wrong, "no metric of the query has a label "+label)
			}
		}
	}
	return wrong
}

// labelsOf are the labels of a metric, with the values that they have.
func labelsOf(family *dto.MetricFamily) map[string][]string {
	values := make(map[string][]string)
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			values[l.GetName()] = append(values[l.GetName()], l.GetValue())
		}
	}
	return values
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
