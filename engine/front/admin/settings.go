package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Settings are what a running server goes by.
type Settings struct {
	Dir    string            `json:"dir"`    // its working directory, which relative paths begin at
	File   string            `json:"file"`   // its configuration file; "": none
	Values map[string]string `json:"values"` // all keys with their values, as TOML; none: the server can't tell
}

// settingsRoute answers GET /settings. They are apart from the status, which people read.
func settingsRoute(mux *http.ServeMux, status func() Status) {
	mux.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(status().Settings)
	})
}

// Settings asks for the settings of the server. Servers of older versions can't tell:
// then there are no Values.
func (c *Client) Settings(ctx context.Context) (s Settings, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/settings", nil)
	if err != nil {
		return s, err
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return s, c.gone(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return s, nil
	}
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("the settings of the server at %s: %w", c.path, err)
	}
	return s, nil
}
