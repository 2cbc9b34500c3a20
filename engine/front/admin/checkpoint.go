package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// checkpointLine is the one line of the answer to checkpoint.
type checkpointLine struct{ Dir string }

// serveCheckpoint makes a checkpoint, and removes it when its client is done with it or
// is gone.
func serveCheckpoint(s Store, w http.ResponseWriter, r *http.Request) {
	dir, remove, err := s.Checkpoint()
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	defer func() { _ = remove() }() // a start removes what is left
	if errors.Join(json.NewEncoder(w).Encode(checkpointLine{Dir: dir}), http.NewResponseController(w).Flush()) != nil {
		return
	}
	<-r.Context().Done()
}

// Checkpoint implements storage.Store. The server deletes the directory after remove was
// called, or when the process ends.
func (c *Client) Checkpoint() (dir string, remove func() error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	body, err := c.post(ctx, "checkpoint", nil)
	if err != nil {
		cancel()
		return "", nil, err
	}
	remove = func() error {
		cancel()
		_ = body.Close() // its error is that of the cancelled request
		return nil
	}
	var line checkpointLine
	if err := json.NewDecoder(body).Decode(&line); err != nil {
		_ = remove()
		return "", nil, c.gone(err)
	}
	return line.Dir, remove, nil
}
