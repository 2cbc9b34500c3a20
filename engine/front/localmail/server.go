package localmail

import (
	"bufio"
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
	"strings"
	"time"

	"postrider/engine/host/httpserver"
	"postrider/engine/host/unixsocket"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

// maxTime is how long a message may take from its connection to its last octet. endTime is
// how long messages may take to be stored once the server stops.
const (
	maxTime = 5 * time.Minute
	endTime = 10 * time.Second
)

// baseRoom is the memory for a message apart from its header: the Envelope in JSON and
// decoded, buffers, and Backlog.
const baseRoom = 1 << 20

// Backlog is how many octets of a draft may be in memory before the message's reader waits.
const Backlog = 256 << 10

// Answer is the outcome of a message.
type Answer struct {
	ID    string // "": nothing was stored
	Error string // "": no error
	Kind  Kind   // the kind of Error
}

// Kind is a kind of error, by what a caller can do about it.
type Kind string

// The kinds.
const (
	Usage  Kind = "usage" // the command line is wrong
	Data   Kind = "data"  // the message is wrong
	NoUser Kind = "user"  // no recipient can get the message
	Later  Kind = "later" // try again later
	Busy   Kind = "busy"  // nothing was read: try again soon
	Ending Kind = "end"   // nothing was stored: the server is about to end
)

// ErrEnding is Submit's error of a server that is about to end, and has stored nothing.
var ErrEnding = errors.New("the server is about to end")

// Submit stores a message. reserve books memory until Submit returns.
type Submit func(ctx context.Context, m incoming.Mail, reserve func(octets int64) bool) (incoming.Result, error)

// Room books memory.
type Room interface {
	Reserve(octets int64) bool
	Release(octets int64)
}

// Serve accepts mail at a socket of Listen until end is called, which waits for messages in
// progress until its context ends, and at most endTime. The file stays.
func Serve(l *net.UnixListener, room Room, submit Submit) (end func(context.Context)) {
	return serve(l, room, submit, maxTime)
}

// serve is Serve with another maxTime.
func serve(l *net.UnixListener, room Room, submit Submit, limit time.Duration) (end func(context.Context)) {
	s := &server{submit: submit, room: room, limit: limit}
	h := &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadTimeout: limit, ReadHeaderTimeout: min(limit, 10*time.Second), IdleTimeout: time.Second, MaxHeaderBytes: 4 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, uidKey{}, c.(*conn).uid)
		},
	}
	served := httpserver.Serve(h, &listener{UnixListener: l})
	return func(until context.Context) {
		ctx, cancel := context.WithTimeout(until, endTime)
		defer cancel()
		served.End(ctx, 0)
	}
}

// Listen makes the socket.
func Listen(path string) (*net.UnixListener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("mail socket: %w", err)
	}
	return l, nil
}

// listen makes the socket, and its directory if it is missing: /run is empty after a boot.
func listen(path string) (*net.UnixListener, error) {
	l, err := unixsocket.Listen(path, 0o666)
	if !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w; make the directory, owned by the server's user, or set server.mail_socket", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask is
		return nil, err
	}
	return unixsocket.Listen(path, 0o666)
}

type uidKey struct{}

type server struct {
	submit Submit
	room   Room
	limit  time.Duration // the time for a message: see maxTime
	atWork counter
}

// serve answers one request.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	if r.Method != http.MethodPost || r.URL.Path != "/mail" {
		http.Error(w, "this socket accepts mail only", http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.limit)
	defer cancel()
	uid := r.Context().Value(uidKey{}).(uint32)
	if !s.atWork.enter(uid, maxAtWork, maxUserWork) {
		answer(w, Answer{Kind: Busy, Error: "too many messages are in progress"})
		return
	}
	defer s.atWork.leave(uid)
	b := booking{room: s.room}
	defer b.end()
	if !b.reserve(baseRoom) {
		answer(w, Answer{Kind: Busy, Error: "no memory for the message now (limits.memory)"})
		return
	}
	a := s.take(ctx, r.Body, uid, &b)
	// Read the rest: a client that still writes when the connection closes misses the answer.
	_, _ = io.Copy(io.Discard, r.Body)
	answer(w, a)
}

// answer writes a to the client.
func answer(w http.ResponseWriter, a Answer) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Second))
	_ = json.NewEncoder(w).Encode(a)
}

// booking is the memory that one message has booked.
type booking struct {
	room Room
	held int64
}

func (b *booking) reserve(octets int64) bool {
	if !b.room.Reserve(octets) {
		return false
	}
	b.held += octets
	return true
}

func (b *booking) end() { b.room.Release(b.held) }

// take stores the message in a request.
func (s *server) take(ctx context.Context, in io.Reader, uid uint32, b *booking) Answer {
	body := bufio.NewReaderSize(in, 64<<10)
	e, err := readEnvelope(body)
	if err != nil {
		return Answer{Error: "the envelope can't be read: " + err.Error(), Kind: Data}
	}
	m := mailOf(e, uid)
	m.Text = body
	result, err := s.submit(ctx, m, b.reserve)
	switch {
	case errors.Is(err, incoming.ErrNoRecipients):
		return Answer{Error: err.Error(), Kind: Usage}
	case errors.Is(err, storage.ErrInvalid):
		return Answer{Error: err.Error(), Kind: Data}
	case errors.Is(err, ErrEnding):
		return Answer{Error: err.Error(), Kind: Ending}
	case err != nil:
		return Answer{Error: err.Error(), Kind: Later}
	}
	if id := result.Receipt.ID(); id != 0 {
		return Answer{ID: id.String()}
	}
	return Answer{Kind: NoUser, Error: refusedText(result.Refused)}
}

// refusedText names the recipients that can't get the message.
func refusedText(rs []incoming.Refusal) string {
	names := make([]string, len(rs))
	for i, r := range rs {
		names[i] = r.Address
	}
	return "no such user, or an alias without members: " + strings.Join(names, ", ") + "; nothing was sent"
}
