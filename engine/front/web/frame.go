package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"postrider/storage"
)

//go:embed assets pages
var files embed.FS

// Frame is what is around the content of a page.
type Frame struct {
	Root  string // what the paths of all links begin with; "": nothing
	Title string
	Name  string // account whose mail is shown; "": none, and no bar at the top
	Query string // words of the search
	// SearchHint is the hint in the search box; "": sender or subject.
	SearchHint string
	// CanWrite: mail can be sent from here, and there is a session to sign out from.
	CanWrite  bool
	Token     string // the session's, for forms
	Good, Bad string // texts above the content
}

// pages are the templates, each with the layout around it.
var pages = parsePages("list", "message", "signin", "compose", "said")

func parsePages(names ...string) map[string]*template.Template {
	layout := template.Must(template.New("layout").Funcs(template.FuncMap{
		"octets": octets, "rfc3339": func(t time.Time) string { return t.Format(time.RFC3339) },
		"shortly":  func(t time.Time) string { return t.Format("2 Jan 2006") },
		"atLength": func(t time.Time) string { return t.Format("Monday, 2 January 2006, 15:04 -0700") },
	}).ParseFS(files, "pages/layout.html"))
	all := make(map[string]*template.Template)
	for _, name := range names {
		all[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "pages/"+name+".html"))
	}
	return all
}

// show writes a page. It is rendered before the first octet is sent, so that an error
// does not leave half a page.
func show(w http.ResponseWriter, status int, page string, data any) {
	var b bytes.Buffer
	if err := pages[page].ExecuteTemplate(&b, "layout", data); err != nil {
		http.Error(w, "The page can't be rendered.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// said is the data of a page with one text.
type said struct {
	Frame Frame
	Text  string
}

// say shows a page with one text.
func say(w http.ResponseWriter, status int, f Frame, title, text string) {
	f.Title = title
	show(w, status, "said", said{f, text})
}

// failed shows what a failure of the store is to a reader. The words for the operator
// are in the log.
func failed(w http.ResponseWriter, f Frame, err error) {
	status, title, text := explain(err)
	say(w, status, f, title, text)
}

func explain(err error) (status int, title, text string) {
	switch {
	case is(err, ErrOverloaded):
		return http.StatusServiceUnavailable, "Busy", "The server is overloaded. Try again in some seconds."
	case is(err, storage.ErrNotFound):
		return http.StatusNotFound, "Not found", "This message does not exist, or was deleted."
	case is(err, storage.ErrInUse):
		return http.StatusConflict, "In use", "A POP3 session has this mailbox open; it can't be changed until that session ends. Nothing was deleted. Try again in a minute."
	case is(err, storage.ErrCorrupt):
		return http.StatusInternalServerError, "Damaged", "This message can't be read: the stored data is damaged."
	case is(err, storage.ErrFull), is(err, storage.ErrTemporary), is(err, storage.ErrFailed), is(err, storage.ErrClosed), is(err, storage.ErrFenced):
		return http.StatusServiceUnavailable, "Not available now", "The server can't do this now. Nothing was changed. Try again in a minute."
	}
	return http.StatusInternalServerError, "Server error", "The server could not do this."
}

// octets is a size for people.
func octets(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 999_500:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n < 9_950_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n < 999_500_000:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
