package web

import (
	"net/http"
	"time"
)

const (
	// answerTime is how long a page may take to be read and made; what streams sets
	// its own times.
	answerTime = time.Minute
	// maxForm bounds the body of a POST without an upload, in octets.
	maxForm = 1 << 20
)

// pagePolicy is what our pages may do: load what is served with them, frame our own
// document, post to us.
const pagePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Bounds are what Guard holds requests to.
type Bounds struct {
	Hosts    Hosts
	Proxies  Proxies
	Budget   Budget    // nil: no memory is booked
	Activity *Activity // nil: requests are not listed
}

// Guard puts around a handler what all pages need: the header fields that tell a
// browser what they may do, times, memory, and a refusal of posts from elsewhere and of
// names that are not ours.
func Guard(next http.Handler, b Bounds) http.Handler {
	next = withWork(next, b.Budget)
	ours := new(http.CrossOriginProtection)
	ours.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusForbidden, Frame{}, "Refused", "This request came from a page of another site.")
	}))
	next = ours.Handler(next)
	return b.Hosts.Only(b.Proxies.Believe(b.Activity.Track(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// Not no-referrer: then a browser sends Origin: null with posts from our own pages, which
		// can't be told from posts of other sites where it does not send Sec-Fetch-Site.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
		if isSecure(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		turn, until := http.NewResponseController(w), time.Now().Add(answerTime)
		_ = turn.SetReadDeadline(until) // not every writer knows deadlines
		_ = turn.SetWriteDeadline(until)
		next.ServeHTTP(w, r)
	}))))
}
