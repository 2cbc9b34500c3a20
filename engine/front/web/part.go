package web

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"postrider/engine/mail/entity"
	"postrider/storage"
)

// streamPause is how long a client may read nothing of what is sent to it.
const streamPause = time.Minute

// errFound ends a walk.
var errFound = errors.New("found")

// part sends an attachment as a file to save.
func (p *Pages) part(w http.ResponseWriter, r *http.Request) {
	v, m, ok := p.open(w, r)
	if !ok {
		return
	}
	defer m.Close()
	switch err := SendPart(w, m, r.PathValue("path")); {
	case is(err, storage.ErrNotFound):
		say(w, http.StatusNotFound, v.Frame, "Not found", "The message has no such attachment.")
	case err != nil:
		p.Log.Error("web: an attachment was cut off", "id", m.Entry().ID.String(), "err", err)
		panic(http.ErrAbortHandler) // the browser shall see that it is not whole
	}
}

// SendPart sends the attachment with this path (entity.Leaf) as a file to save. If it
// is damaged, SendPart sends what can be read; the page of the message tells it. ErrNotFound:
// there is none, and nothing was sent. After any other error the answer is incomplete.
func SendPart(w http.ResponseWriter, m storage.Message, path string) error {
	_, err := entity.Walk(storage.NewPlain(m), entity.DefaultLimits, func(leaf entity.Leaf, body io.Reader) error {
		if leaf.Path != path || !isFile(leaf) {
			return nil
		}
		asFile(w, leaf.FileName(), leaf.Type)
		if _, err := io.Copy(slowWriter(w), body); err != nil && !is(err, entity.ErrDamaged) {
			return err
		}
		return errFound
	})
	if is(err, errFound) {
		return nil
	}
	return cmp.Or(err, fmt.Errorf("part %s: %w", path, storage.ErrNotFound))
}

// raw sends the message as it is stored: to look at, or with ?save=1 as a file.
func (p *Pages) raw(w http.ResponseWriter, r *http.Request) {
	_, m, ok := p.open(w, r)
	if !ok {
		return
	}
	defer m.Close()
	if r.URL.Query().Has("save") {
		asFile(w, m.Entry().ID.String()+".eml", "message/rfc822")
	} else {
		quarantine(w, "text/plain; charset=utf-8")
	}
	if err := SendRaw(w, m); err != nil {
		p.Log.Error("web: a message was cut off", "id", m.Entry().ID.String(), "err", err)
		panic(http.ErrAbortHandler)
	}
}

// SendRaw sends a message in plain form, as text unless the header has another type.
func SendRaw(w http.ResponseWriter, m storage.Message) error {
	if w.Header().Get("Content-Type") == "" {
		quarantine(w, "text/plain; charset=utf-8")
	}
	_, err := io.Copy(slowWriter(w), storage.NewPlain(m))
	return err
}

// harmless are the types that a browser may be told; all others are octets.
var harmless = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "application/pdf": true, "application/zip": true,
	"audio/mpeg": true, "audio/ogg": true, "video/mp4": true, "message/rfc822": true,
}

// asFile sets the header of a file to save.
func asFile(w http.ResponseWriter, name, kind string) {
	if !harmless[kind] {
		kind = "application/octet-stream"
	}
	quarantine(w, kind)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}

// quarantine sets the header of octets that a stranger has written.
func quarantine(w http.ResponseWriter, kind string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Cache-Control", "no-store")
}

// slowWriter is w with the write deadline set again for each piece: a client that goes
// on reading may take as long as it needs.
func slowWriter(w http.ResponseWriter) io.Writer {
	return &patientWriter{w, http.NewResponseController(w)}
}

type patientWriter struct {
	w    http.ResponseWriter
	turn *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.turn.SetWriteDeadline(time.Now().Add(streamPause)) // not every writer knows deadlines
	return p.w.Write(b)
}
