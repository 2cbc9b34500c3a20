package queue

import (
	"time"

	"postrider/cmd/postrider/workspace"
	"postrider/engine/front/admin"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// suspended knows which next hops the running server takes for dead. An entry that
// waits for one is not touched for that, so the queue itself has no reason to show.
type suspended struct {
	ws    *workspace.Workspace
	rules *router.Transports
	dead  map[string]admin.DeadDestination // by next hop; empty: none, or no server runs
	waits map[string]string                // why a next hop has no connection; likewise
}

// suspensions asks the running server.
func suspensions(ws *workspace.Workspace) *suspended {
	s := &suspended{ws: ws, dead: make(map[string]admin.DeadDestination), waits: make(map[string]string)}
	server := ws.Running()
	if server == nil {
		return s
	}
	status, err := server.RelayStatus()
	if err != nil {
		return s
	}
	if s.rules, err = ws.Config.RelayRules(); err != nil {
		return s
	}
	for _, dead := range status.Dead {
		s.dead[dead.Destination] = dead
	}
	for _, w := range status.Waiting {
		s.waits[w.Destination] = w.Reason
	}
	return s
}

// explain gives an entry that waits for a dead next hop its reason, and the time
// when it is looked at again; and one that waits for a connection its reason.
func (s *suspended) explain(e *storage.QueueEntry) {
	if len(s.dead)+len(s.waits) == 0 || e.Held {
		return
	}
	hop, _ := s.ws.Router.NextHop(s.rules, e.Domain, e.Envelope.ReversePath)
	if why := s.waits[hop.String()]; why != "" && e.Reason == "" && !e.DueAt().After(time.Now()) {
		e.Reason = "waits for a connection: " + why
	}
	dead, ok := s.dead[hop.String()]
	if !ok || e.DueAt().After(dead.RetryAt) {
		return
	}
	e.Due, e.Ahead = dead.RetryAt, 0
	if e.Reason == "" {
		e.Reason = "delivery temporarily suspended: " + dead.Reason
	}
}
