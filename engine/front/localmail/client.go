package localmail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"postrider/engine/host/unixsocket"
)

// The errors of Send that a caller can do something about.
var (
	// ErrNoServer means that no server listens; nothing was sent.
	ErrNoServer = errors.New("no server listens there")
	// ErrForged means that the socket belongs to another user than the server's.
	ErrForged = errors.New("not the server's socket")
)

// busyWait is how long Send waits for a busy server.
const busyWait = time.Minute

// Send sends a message to the server at the socket at path.
func Send(ctx context.Context, path string, e Envelope, text io.ReadSeeker) (a Answer, err error) {
	coded, err := json.Marshal(e)
	if err != nil {
		return a, err
	}
	front := strconv.Itoa(len(coded)) + "\n" + string(coded)
	until := time.Now().Add(busyWait)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		if _, err := text.Seek(0, io.SeekStart); err != nil {
			return a, err
		}
		body := &watchedReader{in: io.MultiReader(strings.NewReader(front), text)}
		a, err = send(ctx, path, body)
		again := err == nil && a.Kind == Busy || err != nil && !body.begun && isBusy(err)
		if !again || time.Now().After(until) {
			if err != nil && !body.begun && !errors.Is(err, ErrForged) {
				err = fmt.Errorf("%w: %w", ErrNoServer, err)
			}
			return a, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
}

// closedIdle is the text of net/http's error for a connection that the server has closed
// before the request was written. The error is not exported.
const closedIdle = "http: server closed idle connection"

// isBusy reports whether an error comes from a server with too many connections: its listen
// queue is full, or it has closed the connection without an answer.
func isBusy(err error) bool {
	for _, busy := range []error{syscall.EAGAIN, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, busy) {
			return true
		}
	}
	return strings.Contains(err.Error(), closedIdle)
}

// send makes one attempt for Send.
func send(ctx context.Context, path string, body io.Reader) (a Answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localmail/mail", body)
	if err != nil {
		return a, err
	}
	req.Header.Set("Expect", "100-continue")
	t := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: maxTime, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := unixsocket.Dial(ctx, path)
		if err != nil {
			return nil, err
		}
		if err := checkServer(c, path); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}}
	got, err := t.RoundTrip(req)
	if err != nil {
		return a, err
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return a, fmt.Errorf("the server at %s answered %s", path, got.Status)
	}
	if err := json.NewDecoder(io.LimitReader(got.Body, 1<<20)).Decode(&a); err != nil {
		return a, fmt.Errorf("the server at %s gave no answer: %w", path, err)
	}
	return a, nil
}

// watchedReader notes whether in was read.
type watchedReader struct {
	in    io.Reader
	begun bool
}

// Read implements io.Reader.
func (b *watchedReader) Read(p []byte) (int, error) {
	b.begun = true
	return b.in.Read(p)
}

// checkServer returns an error unless the listener is the server's: see the package comment.
func checkServer(c *net.UnixConn, path string) error {
	uid, err := unixsocket.Peer(c)
	if err != nil {
		return err
	}
	if uid == 0 || int(uid) == os.Geteuid() {
		return nil
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	own := func(info fs.FileInfo) bool { return info.Sys().(*syscall.Stat_t).Uid == uid }
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("%w: every user may write to %s, and userid %d listens at %s", ErrForged, dir, uid, path)
	}
	if own(info) {
		return nil
	}
	if socket, err := os.Lstat(path); err == nil && info.Mode().Perm()&0o020 != 0 && own(socket) {
		return nil // the directory's owner trusts its group
	}
	return fmt.Errorf("%w: userid %d listens at %s, and %s belongs to another user", ErrForged, uid, path, dir)
}
