package web

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"postrider/engine/admit/login"
)

// signInData is the data of pages/signin.html.
type signInData struct {
	Frame      Frame
	User, Next string
	Clear      bool // the connection is in clear text, and not from this host
}

func (c *Client) signInPage(w http.ResponseWriter, r *http.Request) {
	if c.current(r) != nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	show(w, http.StatusOK, "signin", signInData{Frame: Frame{Title: "Sign in"}, Next: nextPath(r.URL.Query().Get("next")), Clear: c.clear(r)})
}

// clear reports whether a password would come in clear text over a network.
func (c *Client) clear(r *http.Request) bool {
	return !isSecure(r) && (c.cfg.Load().TLSOnly || !c.cfg.Load().ClearText && !addressOf(r).IsLoopback())
}

// addressOf is the address of the peer; the zero Addr, which is on no network, if it
// can't be known.
func addressOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	return at.Addr().Unmap()
}

func (c *Client) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	d := signInData{Frame: Frame{Title: "Sign in"}, Clear: c.clear(r)}
	if err := r.ParseForm(); err != nil || d.Clear {
		show(w, http.StatusForbidden, "signin", d)
		return
	}
	d.User, d.Next = r.PostForm.Get("user"), nextPath(r.PostForm.Get("next"))
	account, err := c.cfg.Load().Login(r.Context(), d.User, []byte(r.PostForm.Get("password")), addressOf(r))
	if err != nil {
		status := http.StatusUnauthorized
		d.Frame.Bad = "The name or the password is wrong."
		switch {
		case errors.Is(err, login.ErrThrottled):
			status, d.Frame.Bad = http.StatusTooManyRequests, "Too many failed logins from your network. Try again later."
		case !errors.Is(err, login.ErrDenied):
			status, d.Frame.Bad = http.StatusServiceUnavailable, "The server can't check the password now. Try again in a moment."
		}
		show(w, status, "signin", d)
		return
	}
	cookie, s := c.sessions.begin(account, time.Now())
	attach(r.Context(), s)
	http.SetCookie(w, &http.Cookie{Name: cookieName(r), Value: cookie, Path: "/", HttpOnly: true, Secure: isSecure(r), SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, d.Next, http.StatusSeeOther)
}

// nextPath is a page of ours to go to after signing in; anything else is the list.
func nextPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(text, "\\\r\n") ||
		!strings.HasPrefix(u.Path, "/m/") && u.Path != "/compose" && u.Path != "/" {
		return "/"
	}
	return u.RequestURI()
}

func (c *Client) signOut(w http.ResponseWriter, r *http.Request) {
	if !c.mayChange(w, r) {
		return
	}
	if cookie, err := r.Cookie(cookieName(r)); err == nil {
		c.sessions.forget(cookie.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName(r), Path: "/", HttpOnly: true, Secure: isSecure(r), SameSite: http.SameSiteLaxMode, MaxAge: -1})
	w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}
