package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"postrider/engine/incoming"
	"postrider/storage"
)

// Config is what a client needs. All of it has to be there.
type Config struct {
	Store storage.Store
	// Login finds the account of a name and a password, which came from an address. It
	// takes as long as that takes: ErrDenied, ErrThrottled, ErrBusy.
	Login func(ctx context.Context, user string, password []byte, from netip.Addr) (storage.Account, error)
	// Submit sends a message of an account, by the rules for its mail: ErrRefused, or
	// what incoming.Entrance.Submit says.
	Submit func(ctx context.Context, account storage.Account, m incoming.Mail) (incoming.Result, error)
	// Addresses are those that an account may send as; the first is its own.
	Addresses func(account storage.Account) []string

	DefaultDomain string // of addresses without one
	Hostname      string // in message ids
	Spool         string // a folder of the client's own, for uploads
	MaxSize       int64  // octets of a message
	ClearText     bool   // passwords in clear text from anywhere
	TLSOnly       bool   // not even from this host
	Idle          time.Duration
	Lifetime      time.Duration
	Bounds        Bounds // of requests
	Log           *slog.Logger
}

// What Login and Submit may say.
var (
	// ErrDenied: the name and the password don't go together.
	ErrDenied = errors.New("the name or the password is wrong")
	// ErrThrottled: too many from that network were wrong.
	ErrThrottled = errors.New("too many attempts failed from your network; try again later")
	// ErrBusy: the server has too much to do.
	ErrBusy = errors.New("the server is busy; try again in a moment")
	// ErrRefused: the account may not send this, now; the text says why.
	ErrRefused = errors.New("refused")
)

// Client is the handler of all pages.
type Client struct {
	cfg      Config
	sessions *sessions
	turns    turns
	spool    *spool
	handler  http.Handler
}

// refresh is how often an open list looks for new mail, in seconds.
const refresh = 20

// New makes a client, and empties its spool folder.
func New(cfg Config) (*Client, error) {
	spool, err := openSpool(cfg.Spool)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, sessions: newSessions(cfg.Idle, cfg.Lifetime, spool.drop), spool: spool}
	mux := http.NewServeMux()
	pages := &Pages{Of: c.view, MayChange: c.mayChange, Refresh: refresh, Log: cfg.Log}
	pages.Register(mux, "")
	mux.HandleFunc("GET /signin", c.signInPage)
	mux.HandleFunc("POST /signin", c.signIn)
	mux.HandleFunc("POST /signout", c.signOut)
	mux.HandleFunc("GET /compose", c.compose)
	mux.HandleFunc("POST /send", c.send)
	c.handler = Guard(mux, cfg.Bounds)
	return c, nil
}

// ServeHTTP implements http.Handler.
func (c *Client) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// view is the mailbox of the session; without one the browser is sent to sign in.
func (c *Client) view(w http.ResponseWriter, r *http.Request) (View, bool) {
	s, ok := c.session(w, r)
	if !ok {
		return View{}, false
	}
	return View{Mailbox{Store: c.cfg.Store, Account: s.account.ID}, s.frame()}, true
}
