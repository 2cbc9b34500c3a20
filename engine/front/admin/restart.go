package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Restart is the answer to an order to have another process take the place of the server.
type Restart struct {
	Program string    `json:"program"` // that is started
	Version string    `json:"version"` // its version
	Before  string    `json:"before"`  // the version of the server
	PID     int       `json:"pid"`
	Started time.Time `json:"started"` // the server that answers
	Socket  string    `json:"socket"`  // where the next one answers
	Token   string    `json:"token"`   // Restarted of the next one has it
	Error   string    `json:"error,omitempty"`
	Code    int       `json:"code,omitempty"` // the exit code for the error
}

// Restarted is what a process tells of the one whose place it has taken by order of an
// operator.
type Restarted struct {
	Token  string  `json:"token"`
	Before string  `json:"before"` // its version
	Ended  int     `json:"ended"`  // sessions that were ended
	Cut    int     `json:"cut"`    // sessions that were cut off
	Took   float64 `json:"took"`   // seconds from the order on
	Gap    float64 `json:"gap"`    // seconds in which no connection was accepted
	// Fault is why the program on disk did not start: this is the one from before again.
	Fault string `json:"fault,omitempty"`
}

// Restarting is the route of an operator's restart.
func Restarting(restart func() Restart) Route {
	return Route{add: func(mux *http.ServeMux, log *slog.Logger) {
		method(mux, "restart", func(none) (Restart, error) {
			log.Info("restart ordered")
			return restart(), nil
		})
	}}
}

// Restart has another process take the place of the server, soon.
func (c *Client) Restart() (r Restart, err error) { return r, c.ask("restart", none{}, &r) }

// StatusAt asks the server at a socket how it is.
func StatusAt(ctx context.Context, path string) (Status, error) {
	c, err := Dial(ctx, path)
	if err != nil {
		return Status{}, err
	}
	defer c.Close()
	return c.Status(ctx)
}
