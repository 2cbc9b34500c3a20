package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"postrider/storage"
)

// View is the mailbox of a request and the frame around it.
type View struct {
	Mailbox Mailbox
	Frame   Frame
}

// Pages are the pages for looking at a mailbox.
type Pages struct {
	// The function Of returns the view of a request. When there is nothing to show it
	// has answered and returns false.
	Of func(http.ResponseWriter, *http.Request) (View, bool)
	// MayChange reports whether a POST comes from our own pages; when not, it has answered.
	// Its form is parsed.
	MayChange func(http.ResponseWriter, *http.Request) bool
	// Refresh is how often an open list looks for new mail, in seconds; 0: never.
	Refresh int
	// Events is the path of a stream of events that tells an open list about new mail;
	// "": there is none.
	Events string
	// Search finds what the words in the search box ask for, from a message on to older
	// ones; ErrQuery: they can't be understood. nil: all words in sender or subject.
	Search func(ctx context.Context, query string, from storage.MessageID) (Listing, error)
	// Fields are shown on the message page besides the header; nil: none.
	Fields func(storage.Entry) []Field
	Log    *slog.Logger
}

// ErrQuery: the words of a search can't be understood; the text tells why.
var ErrQuery = errors.New("invalid search")

// Field is a name and a value on the message page.
type Field struct{ Name, Value string }

// Register adds the pages to mux, their paths after root.
func (p *Pages) Register(mux *http.ServeMux, root string) {
	mux.HandleFunc("GET "+root+"/{$}", p.list)
	mux.HandleFunc("GET "+root+"/m/{id}", p.message)
	mux.HandleFunc("GET "+root+"/m/{id}/html", p.html)
	mux.HandleFunc("GET "+root+"/m/{id}/part/{path}", p.part)
	mux.HandleFunc("GET "+root+"/m/{id}/raw", p.raw)
	mux.HandleFunc("POST "+root+"/delete", p.remove)
	mux.Handle("GET "+root+"/assets/", http.StripPrefix(root, assets()))
}

// assets are the stylesheet, the script and the icon.
func assets() http.Handler {
	below, err := fs.Sub(files, "assets") // the templates beside it are not served
	if err != nil {
		panic("BUG: " + err.Error())
	}
	files := http.StripPrefix("/assets/", http.FileServerFS(below))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=300")
		files.ServeHTTP(w, r)
	})
}

// listPage is the data of pages/list.html.
type listPage struct {
	Frame        Frame
	Rows         []Row
	Count        string
	Newer, Older string // links
	Here         string // the path of this page
	State        string // changes when the list does
	Looked       int
	HasTo        bool // the list has a column of recipients
	Refresh      int
	Events       string

	find func(context.Context, string, storage.MessageID) (Listing, error)
}

// maxQuery bounds the text of a search, in octets.
const maxQuery = 400

func (p *Pages) list(w http.ResponseWriter, r *http.Request) {
	v, ok := p.Of(w, r)
	if !ok {
		return
	}
	if err := Take(r.Context(), readCost); err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	q := r.URL.Query()
	d := listPage{Frame: v.Frame, Here: r.URL.RequestURI(), Refresh: p.Refresh, Events: p.Events, find: p.Search}
	d.Frame.Query, d.Frame.Title = q.Get("q")[:min(len(q.Get("q")), maxQuery)], "Mail"
	if n, err := strconv.Atoi(q.Get("deleted")); err == nil && n > 0 {
		d.Frame.Good = fmt.Sprintf("%s deleted.", messages(int64(n)))
	}
	if q.Get("sent") != "" {
		d.Frame.Good = "The message was sent."
	}
	if d.find == nil {
		d.find = v.Mailbox.Search
	}
	fill := d.page
	if d.Frame.Query != "" {
		fill = d.search
	}
	if err := fill(r, v.Mailbox, q); is(err, ErrQuery) {
		d.Frame.Bad = sentence(err, ErrQuery)
		show(w, http.StatusBadRequest, "list", d)
		return
	} else if err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	d.HasTo = slices.ContainsFunc(d.Rows, func(r Row) bool { return r.To != "" })
	show(w, http.StatusOK, "list", d)
}

// page fills in a page of all mail.
func (d *listPage) page(r *http.Request, b Mailbox, q url.Values) error {
	n, _ := strconv.Atoi(q.Get("page"))
	n = min(max(n, 0), maxSkip/pageRows)
	l, err := b.Page(r.Context(), n)
	if err != nil {
		return err
	}
	d.Rows, d.Count = l.Rows, messages(l.Total)
	first := n * pageRows
	if len(l.Rows) > 0 && l.Total > pageRows {
		d.Count = fmt.Sprintf("%d–%d of %d", first+1, first+len(l.Rows), l.Total)
	}
	if n > 0 {
		d.Newer = fmt.Sprintf("%s/?page=%d", d.Frame.Root, n-1)
	}
	if l.More != 0 {
		d.Older = fmt.Sprintf("%s/?page=%d", d.Frame.Root, n+1)
	}
	d.State = fmt.Sprint(l.Total)
	if len(l.Rows) > 0 {
		d.State += " " + l.Rows[0].ID.String()
	}
	return nil
}

// search fills in what was found.
func (d *listPage) search(r *http.Request, _ Mailbox, q url.Values) error {
	from, err := storage.ParseMessageID(q.Get("from"))
	if err != nil {
		from = storage.MaxMessageID
	}
	l, err := d.find(r.Context(), d.Frame.Query, from)
	if err != nil {
		return err
	}
	d.Rows, d.Looked, d.Frame.Good, d.Refresh, d.Events, d.Frame.Title = l.Rows, l.Looked, cmp.Or(l.Note, d.Frame.Good), 0, "", "Search"
	d.Count = fmt.Sprintf("%d found", len(l.Rows))
	if l.More != 0 {
		d.Older = d.Frame.Root + "/?" + url.Values{"q": {d.Frame.Query}, "from": {l.More.String()}}.Encode()
	}
	if q.Has("from") {
		d.Newer = d.Frame.Root + "/?" + url.Values{"q": {d.Frame.Query}}.Encode()
	}
	return nil
}

func messages(n int64) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// remove deletes what was chosen.
func (p *Pages) remove(w http.ResponseWriter, r *http.Request) {
	v, ok := p.Of(w, r)
	if !ok || !p.MayChange(w, r) {
		return
	}
	var ids []storage.MessageID
	for _, text := range r.PostForm["id"] {
		id, err := storage.ParseMessageID(text)
		if err != nil {
			say(w, http.StatusBadRequest, v.Frame, "Not a message", err.Error())
			return
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	back := localPath(r.PostForm.Get("back"), v.Frame.Root)
	if len(ids) == 0 {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	if err := v.Mailbox.Delete(r.Context(), ids); err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	u, _ := url.Parse(back)
	q := u.Query()
	q.Set("deleted", strconv.Itoa(len(ids)))
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// localPath is a path of ours to go back to; anything else is the list.
func localPath(text, root string) string {
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || u.Path != root+"/" {
		return root + "/"
	}
	q := u.Query()
	q.Del("deleted")
	q.Del("sent")
	return (&url.URL{Path: u.Path, RawQuery: q.Encode()}).String()
}

// failed answers a failure, and logs failures that are not the client's.
func (p *Pages) failed(w http.ResponseWriter, f Frame, err error) {
	switch status, _, _ := explain(err); {
	case is(err, context.Canceled): // the reader has gone
		return
	case is(err, ErrOverloaded):
		p.Log.Warn("web: "+f.Name+": no memory for a page; see limits.memory", "err", err)
	case status >= http.StatusInternalServerError:
		p.Log.Error("web: "+f.Name, "err", err)
	}
	failed(w, f, err)
}

func is(err, target error) bool { return errors.Is(err, target) }
