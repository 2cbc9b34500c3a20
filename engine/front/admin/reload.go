package admin

import (
	"log/slog"
	"net/http"
)

// Reloaded is what became of an order to read the configuration again.
type Reloaded struct {
	File    string   `json:"file"`             // that was read; "": none
	Changes []Change `json:"changes"`          // keys that have another value than before
	Error   string   `json:"error,omitempty"`  // why nothing was changed
	Faults  []string `json:"faults,omitempty"` // what did not work beside the keys
	Code    int      `json:"code,omitempty"`   // the exit code for the error or the faults
}

// Change is a key with another value.
type Change struct {
	Key     string `json:"key"`
	Old     string `json:"old"` // as TOML
	New     string `json:"new"`
	Applied bool   `json:"applied"` // else it needs a restart
}

// Reloading is the route of an operator's reload.
func Reloading(reload func() Reloaded) Route {
	return Route{add: func(mux *http.ServeMux, log *slog.Logger) {
		method(mux, "reload", func(none) (Reloaded, error) {
			log.Info("reload of the configuration ordered")
			return reload(), nil
		})
	}}
}

// Reload has the server read its configuration again.
func (c *Client) Reload() (r Reloaded, err error) { return r, c.ask("reload", none{}, &r) }
