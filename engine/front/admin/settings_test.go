package admin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"postrider/storage"
)

// The settings come back as they were given, apart from the status.
func TestSettings(t *testing.T) {
	want := Settings{Dir: "/srv", File: "/etc/postrider.toml", Values: map[string]string{"server.hostname": `"mx.example.org"`}}
	path := filepath.Join(t.TempDir(), "admin.sock")
	stop, err := serveAt(path, struct{ storage.Store }{}, nil, nil, slog.New(slog.DiscardHandler), func() Status { return Status{Version: "9", Settings: want} })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Settings(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	if s, err := c.Status(t.Context()); err != nil || s.Version != "9" || s.Settings.Dir != "" {
		t.Errorf("%+v %v", s, err)
	}
	w := httptest.NewRecorder()
	handler(struct{ storage.Store }{}, nil, nil, func() Status { return Status{Settings: want} }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/status", nil))
	if strings.Contains(w.Body.String(), "mx.example.org") {
		t.Errorf("in the status: %s", w.Body)
	}
}
