package localmail

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/engine/pickup"
	"postrider/storage"
)

// The bounds of what strangers may use.
const (
	maxConns   = 64
	maxPerUser = 8
	maxAtWork  = 16
	maxLetter  = 1 << 20
	maxSilence = 30 * time.Second
	maxTime    = 10 * time.Minute
)

// Letter is the envelope of a message, as sendmail's command line says it.
type Letter struct {
	Sender     *string // nil: the caller
	FullName   string
	Recipients []string
	FromHeader bool
	Notify     uint8
	Ret        uint8
	EnvID      string
}

// Answer is what became of a message.
type Answer struct {
	ID    string // "": nothing was stored
	Error string // "": none
	Kind  string // of the error: "usage", "data", "user" or "later"
}

// Submit stores a message.
type Submit func(ctx context.Context, m pickup.Mail, l Letter) (pickup.Result, error)

// Serve takes mail at the socket at path until stop is called.
func Serve(path string, submit Submit) (stop func(), err error) {
	if err := clearWay(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("mail socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, fmt.Errorf("mail socket: %w", err)
	}
	s := &server{submit: submit, atWork: make(chan struct{}, maxAtWork)}
	h := &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Second, MaxHeaderBytes: 4 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, uidKey{}, c.(*conn).uid)
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Serve(&listener{Listener: l, open: make(map[uint32]int)})
	}()
	return func() {
		_ = h.Close()
		<-done
		_ = os.Remove(path)
	}, nil
}

// clearWay removes a socket that no process listens on.
func clearWay(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mail socket: %w", err)
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("mail socket: %s is in the way and is not a socket: move it elsewhere", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("mail socket: another server listens on %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("mail socket: %w", err)
	}
	return os.Remove(path)
}

type uidKey struct{}

// listener knows who connects, and closes what is too much.
type listener struct {
	net.Listener
	mu   sync.Mutex
	open map[uint32]int
	all  int
}

// conn is a connection whose caller is known.
type conn struct {
	net.Conn
	uid  uint32
	from *listener
	once sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peer(c.(*net.UnixConn))
		if err != nil || !l.enter(uid) {
			c.Close()
			continue
		}
		return &conn{Conn: c, uid: uid, from: l}, nil
	}
}

func (l *listener) enter(uid uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConns || l.open[uid] >= maxPerUser {
		return false
	}
	l.all++
	l.open[uid]++
	return true
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.from.mu.Lock()
		defer c.from.mu.Unlock()
		c.from.all--
		if c.from.open[c.uid]--; c.from.open[c.uid] == 0 {
			delete(c.from.open, c.uid)
		}
	})
	return c.Conn.Close()
}

// peer is the user who called connect.
func peer(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	failed := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(failed, err); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

type server struct {
	submit Submit
	atWork chan struct{}
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	if r.Method != http.MethodPost || r.URL.Path != "/mail" {
		http.Error(w, "this socket takes mail only", http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxTime)
	defer cancel()
	select {
	case s.atWork <- struct{}{}:
		defer func() { <-s.atWork }()
	case <-ctx.Done():
		return
	}
	_ = json.NewEncoder(w).Encode(s.take(ctx, w, r))
}

// take stores the message of a request.
func (s *server) take(ctx context.Context, w http.ResponseWriter, r *http.Request) Answer {
	body := bufio.NewReader(&patient{ctx: ctx, in: r.Body, turn: http.NewResponseController(w)})
	l, err := readLetter(body)
	if err != nil {
		return Answer{Error: "the letter can't be read: " + err.Error(), Kind: "data"}
	}
	m := mailOf(l, r.Context().Value(uidKey{}).(uint32))
	m.Text = body
	result, err := s.submit(ctx, m, l)
	switch {
	case errors.Is(err, pickup.ErrNoRecipients):
		return Answer{Error: err.Error(), Kind: "usage"}
	case errors.Is(err, storage.ErrInvalid):
		return Answer{Error: err.Error(), Kind: "data"}
	case err != nil:
		return Answer{Error: err.Error(), Kind: "later"}
	}
	var a Answer
	if len(result.Refused) > 0 {
		a.Kind, a.Error = "user", refusedText(result.Refused)
	}
	if id := result.Receipt.ID(); id != 0 {
		a.ID = id.String()
	}
	return a
}

// refusedText names the recipients who can't get the message.
func refusedText(rs []pickup.Refusal) string {
	names := make([]string, len(rs))
	for i, r := range rs {
		names[i] = r.Address
	}
	return "there is no such user here, or the alias leads nowhere: " + strings.Join(names, ", ")
}

func readLetter(in *bufio.Reader) (l Letter, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return l, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil || n < 0 || n > maxLetter {
		return l, fmt.Errorf("it has a wrong length")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return l, err
	}
	return l, json.Unmarshal(text, &l)
}

// mailOf is the message of a user, without its text.
func mailOf(l Letter, uid uint32) pickup.Mail {
	id := strconv.FormatUint(uint64(uid), 10)
	m := pickup.Mail{Sender: "nobody", FullName: l.FullName, Recipients: l.Recipients, FromHeader: l.FromHeader, EnvID: l.EnvID}
	m.Local, m.Origin = "userid "+id, "userid "+id+" by sendmail"
	if u, err := user.LookupId(id); err == nil {
		m.Sender = u.Username
		m.Local += " / user " + u.Username
		m.Origin = "userid " + id + " (" + u.Username + ") by sendmail"
		if l.FullName == "" && l.Sender == nil {
			m.FullName = u.Name
		}
	}
	if l.Sender != nil {
		m.Sender = *l.Sender
	}
	return m
}

// patient reads, and waits for each piece maxSilence at most.
type patient struct {
	ctx  context.Context
	in   io.Reader
	turn *http.ResponseController
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	_ = p.turn.SetReadDeadline(time.Now().Add(maxSilence))
	return p.in.Read(b)
}
