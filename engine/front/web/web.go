package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"postrider/engine/host/history"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

// Config is what a client needs. All of it has to be there.
type Config struct {
	Store storage.Store
	// Login finds the account of a name and a password, which came from an address. It
	// takes as long as that takes: see login.Door.SignIn.
	Login func(ctx context.Context, user string, password []byte, from netip.Addr) (storage.Account, error)
	// Submit sends a message of an account, by the rules for its mail: ErrRefused, or
	// an error of incoming.Entrance.Submit.
	Submit func(ctx context.Context, account storage.Account, m incoming.Mail) (incoming.Result, error)
	// Addresses returns the addresses that an account may send as; the first is its own.
	Addresses func(account storage.Account) []string

	DefaultDomain string // for addresses without one
	Hostname      string // in message ids
	Spool         string // a folder of the client's own, for uploads
	MaxSize       int64  // octets of a message
	ClearText     bool   // passwords in clear text from anywhere
	TLSOnly       bool   // not even from this host
	Idle          time.Duration
	Lifetime      time.Duration
	Bounds        Bounds // for requests
	Log           *slog.Logger
	History       *history.Log // nil: none is kept
}

// ErrRefused is an error of Submit: the account may not send this now; the text tells why.
var ErrRefused = errors.New("refused")

// Client is the handler of all pages.
type Client struct {
	cfg      atomic.Pointer[Config]
	sessions *sessions
	turns    turns
	spool    *spool
	pages    http.Handler
	handler  atomic.Pointer[http.Handler] // pages within the Bounds of cfg
}

// refresh is how often an open list looks for new mail, in seconds.
const refresh = 20

// New makes a client, and empties its spool folder.
func New(cfg Config) (*Client, error) {
	spool, err := openSpool(cfg.Spool)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	c := &Client{sessions: newSessions(cfg.Idle, cfg.Lifetime, spool.drop), spool: spool, pages: mux}
	pages := &Pages{Of: c.view, MayChange: c.mayChange, Refresh: refresh, Log: cfg.Log}
	pages.Register(mux, "")
	mux.HandleFunc("GET /signin", c.signInPage)
	mux.HandleFunc("POST /signin", c.signIn)
	mux.HandleFunc("POST /signout", c.signOut)
	mux.HandleFunc("GET /compose", c.compose)
	mux.HandleFunc("POST /send", c.send)
	c.Configure(cfg)
	if a := cfg.Bounds.Activity; a != nil {
		a.mu.Lock()
		a.sessions = c.sessions
		a.mu.Unlock()
	}
	return c, nil
}

// Configure replaces the settings, except for Store, Spool and Log, for later requests.
// Sessions go on.
func (c *Client) Configure(cfg Config) {
	c.sessions.configure(cfg.Idle, cfg.Lifetime)
	handler := Guard(c.pages, cfg.Bounds)
	c.cfg.Store(&cfg)
	c.handler.Store(&handler)
}

// Settings returns the settings that count now.
func (c *Client) Settings() *Config { return c.cfg.Load() }

// ServeHTTP implements http.Handler.
func (c *Client) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*c.handler.Load()).ServeHTTP(w, r)
}

// view is the mailbox of the session; without one the browser is sent to sign in.
func (c *Client) view(w http.ResponseWriter, r *http.Request) (View, bool) {
	s, ok := c.session(w, r)
	if !ok {
		return View{}, false
	}
	cfg := c.cfg.Load()
	deleted := func(ids []storage.MessageID) { cfg.History.AddDeleted(ids, s.name(), "web", "") }
	return View{Mailbox{Store: cfg.Store, Account: s.account.ID, Deleted: deleted}, s.frame()}, true
}
