package capture

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"postrider/codec/message"
	"postrider/engine/front/web"
	"postrider/storage"
)

// Config is what a view needs.
type Config struct {
	Store   storage.Maildrops
	Account storage.AccountID // that has all captured mail
	Keep    int               // messages; 0: no limit
	Age     time.Duration     // 0: no limit
	Version string            // the server's, for /api/v1/info
	Started time.Time
	Bounds  web.Bounds
	// Draining reports that the server stops: requests that wait for mail end. nil: it
	// never does.
	Draining func() bool
	Log      *slog.Logger
}

// View is the handler of the page and of the API.
type View struct {
	cfg      atomic.Pointer[Config]
	mailbox  web.Mailbox
	pages    http.Handler
	handler  atomic.Pointer[http.Handler] // pages within the Bounds of cfg
	watchers atomic.Int64
}

// New makes a view.
func New(cfg Config) *View {
	mux := http.NewServeMux()
	v := &View{mailbox: web.Mailbox{Store: cfg.Store, Account: cfg.Account, Row: row, ForGood: true}, pages: mux}
	pages := &web.Pages{
		Of: func(http.ResponseWriter, *http.Request) (web.View, bool) {
			return web.View{Mailbox: v.mailbox, Frame: web.Frame{Name: "Captured mail", SearchHint: searchHint}}, true
		},
		MayChange: mayChange,
		Events:    "/api/v1/events",
		Search:    v.listing,
		Fields:    envelopeFields,
		Log:       cfg.Log,
	}
	pages.Register(mux, "")
	v.register(mux)
	v.Configure(cfg)
	return v
}

// Configure replaces Keep, Age and Bounds.
func (v *View) Configure(cfg Config) {
	handler := web.Guard(v.pages, cfg.Bounds)
	v.cfg.Store(&cfg)
	v.handler.Store(&handler)
}

// Settings returns the settings that count now.
func (v *View) Settings() *Config { return v.cfg.Load() }

// ServeHTTP implements http.Handler.
func (v *View) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*v.handler.Load()).ServeHTTP(w, r) }

// mayChange reads the form of a page. web.Guard has checked
// that it comes from our own pages; there is no login.
func mayChange(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form can't be read: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// Envelope is the SMTP envelope of a message.
type Envelope struct {
	From string   // the reverse-path; "": the null path
	To   []string // the forward-paths, as they were given
	// NotShown is how many more forward-paths there were, beyond some two hundred.
	NotShown string `json:",omitempty"`
}

// envelopeOf reads it from the trace of an entry.
func envelopeOf(e storage.Entry) Envelope {
	env := Envelope{To: []string{}}
	rest := e.Trace
	for {
		f, more, ok := message.Next(rest)
		if !ok {
			return env
		}
		rest = more
		value := string(f.Unfolded())
		switch {
		case f.Is("Return-Path") && len(value) > 2:
			env.From = value[1 : len(value)-1]
		case f.Is("Delivered-To"):
			env.To = append(env.To, value)
		case f.Is("X-Recipients-Not-Shown"):
			env.NotShown = value
		}
	}
}

// maxShown is how many recipients the page of a message names.
const maxShown = 20

func envelopeFields(e storage.Entry) []web.Field {
	env := envelopeOf(e)
	from := env.From
	if from == "" {
		from = "<> (null reverse-path)"
	}
	fields := []web.Field{{Name: "MAIL FROM", Value: from}}
	for i, to := range env.To {
		if i == maxShown {
			return append(fields, web.Field{Name: "RCPT TO", Value: "and more: the raw source has them"})
		}
		fields = append(fields, web.Field{Name: "RCPT TO", Value: to})
	}
	return fields
}
