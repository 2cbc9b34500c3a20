package conn

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// Facts are what an operator is told of a session. Session.facts sets the fields that all
// protocols have, Dialogue.Describe the others.
type Facts struct {
	ID       uint64     `json:"id"`       // rises with each session since the start
	Protocol string     `json:"protocol"` // smtp, submission, pop3 or web
	Client   netip.Addr `json:"client"`
	Name     string     `json:"name"`              // by reverse DNS, or "unknown"
	Account  string     `json:"account,omitempty"` // that has logged in
	State    string     `json:"state"`             // the phase of the protocol
	Waits    string     `json:"waits,omitempty"`   // what the session waits for, if it is not the client's next input
	Seconds  int64      `json:"seconds"`           // since its begin
	Messages int64      `json:"messages"`          // that were taken, or sent by RETR and TOP
	In       int64      `json:"octets_in"`
	Out      int64      `json:"octets_out"` // as they go on the wire
	TLS      string     `json:"tls,omitempty"`

	// Facts of web sessions alone.
	Idle     int64  `json:"idle,omitempty"` // seconds since the begin of the last request
	Last     string `json:"last,omitempty"` // method and path of the last request
	Requests int64  `json:"requests,omitempty"`
}

// Selection selects the sessions that all of its fields fit.
type Selection struct {
	IDs      []uint64     `json:"ids,omitempty"`      // none: all
	Protocol string       `json:"protocol,omitempty"` // smtp, which is submission as well, submission, pop3, web; "": all
	Client   netip.Prefix `json:"client,omitzero"`    // zero: all
	Account  string       `json:"account,omitempty"`  // NAME, at any domain, or NAME@DOMAIN; "": all
}

// Survey is what Look has found.
type Survey struct {
	Sessions []Facts `json:"sessions"` // the newest ones of all that were selected
	Total    int     `json:"total"`    // how many were selected
	Groups   []Group `json:"groups"`   // all that were selected, by protocol, state and wait
}

// Group is a number of sessions that do the same.
type Group struct {
	Protocol string `json:"protocol"`
	State    string `json:"state"`
	Waits    string `json:"waits,omitempty"`
	Sessions int    `json:"sessions"`
}

// MaxListed is how many sessions Look lists at most.
const MaxListed = 10_000

// waitWords are the values of Wait for Facts.Waits.
var waitWords = [...]string{
	ForAnswer: "answer", ForTurn: "turn", ForPenalty: "penalty", ForGreeting: "greeting", ForHandshake: "handshake",
	ForReplies: "reader", ForListing: "reader", ForPiece: "reader",
}

// facts describes a session. It runs on the session's loop.
func (s *Session) facts() (f Facts) {
	f = Facts{
		ID: s.id, Protocol: serviceNames[s.Port.Service], Client: s.IP, Name: s.Name, Waits: waitWords[s.Waits],
		Seconds: int64(s.Port.Edge.seconds() - s.began), In: s.got, Out: s.Conn.Taken(),
	}
	if s.TLS != nil {
		f.TLS = s.TLS.Facts().Version
	}
	s.dialogue.Describe(&f)
	return f
}

// maySelect reports whether a session fits what can be told without its dialogue.
func (sel *Selection) maySelect(s *Session) bool {
	name := serviceNames[s.Port.Service]
	return (len(sel.IDs) == 0 || slices.Contains(sel.IDs, s.id)) &&
		(sel.Protocol == "" || sel.Protocol == name || sel.Protocol == "smtp" && s.Port.Service == SubmissionService) &&
		(!sel.Client.IsValid() || sel.Client.Contains(s.IP.Unmap()))
}

// Fits reports whether the facts of a session fit.
func (sel *Selection) Fits(f *Facts) bool {
	return (len(sel.IDs) == 0 || slices.Contains(sel.IDs, f.ID)) &&
		(sel.Protocol == "" || sel.Protocol == f.Protocol || sel.Protocol == "smtp" && f.Protocol == "submission") &&
		(!sel.Client.IsValid() || sel.Client.Contains(f.Client.Unmap())) && sel.isAccount(f.Account)
}

// isAccount reports whether an account is the one that is selected.
func (sel *Selection) isAccount(account string) bool {
	if sel.Account == "" || strings.EqualFold(sel.Account, account) {
		return true
	}
	at := strings.LastIndexByte(account, '@')
	return at > 0 && strings.EqualFold(sel.Account, account[:at])
}

// selects returns the facts of a session if it fits.
func (sel *Selection) selects(s *Session) (f Facts, fits bool) {
	if !sel.maySelect(s) {
		return f, false
	}
	f = s.facts()
	return f, sel.isAccount(f.Account)
}

// Look lists at most so many sessions, and counts all that are selected.
func (e *Edge) Look(ctx context.Context, sel Selection, most int) (Survey, error) {
	most = min(most, MaxListed)
	all := Survey{Sessions: []Facts{}}
	var of []*Survey
	err := e.visit(ctx, func() func(*Session) {
		found := new(Survey)
		of = append(of, found)
		return func(s *Session) {
			if f, fits := sel.selects(s); fits {
				found.add(f, most)
			}
		}
	})
	if err != nil {
		return all, err // the loops may still write to what they have found
	}
	for _, found := range of {
		all.join(found)
	}
	all.order(most)
	return all, nil
}

// order sorts what was found, and keeps so many sessions, the newest ones.
func (v *Survey) order(most int) {
	slices.SortFunc(v.Sessions, func(a, b Facts) int { return cmp.Compare(a.ID, b.ID) })
	v.Sessions = v.Sessions[max(0, len(v.Sessions)-most):]
	slices.SortFunc(v.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(b.Sessions, a.Sessions), cmp.Compare(a.State, b.State), cmp.Compare(a.Waits, b.Waits))
	})
}

// Include adds sessions that are on no loop, which were selected, and keeps at most so many.
func (v *Survey) Include(others []Facts, most int) {
	for i := range others {
		v.Total++
		v.count(Group{others[i].Protocol, others[i].State, others[i].Waits, 1})
	}
	v.Sessions = append(v.Sessions, others...)
	v.order(min(most, MaxListed))
}

// NewID returns the id of one more session, which may be on no loop.
func (e *Edge) NewID() uint64 { return e.ids.Add(1) }

// add counts a session, and lists it if there is room.
func (v *Survey) add(f Facts, most int) {
	v.Total++
	v.count(Group{f.Protocol, f.State, f.Waits, 1})
	if len(v.Sessions) < most {
		v.Sessions = append(v.Sessions, f)
	}
}

// count adds to the group that does the same. There are a few dozen of them.
func (v *Survey) count(g Group) {
	for i := range v.Groups {
		if has := &v.Groups[i]; has.Protocol == g.Protocol && has.State == g.State && has.Waits == g.Waits {
			has.Sessions += g.Sessions
			return
		}
	}
	v.Groups = append(v.Groups, g)
}

// join adds what was found on another loop.
func (v *Survey) join(more *Survey) {
	v.Total += more.Total
	v.Sessions = append(v.Sessions, more.Sessions...)
	for _, g := range more.Groups {
		v.count(g)
	}
}

// byOperator is why a session ends that an operator has ended, for the log.
const byOperator = "ended by an operator"

// Dismissed reports whether an operator ends the session, and not the server itself.
func (s *Session) Dismissed() bool { return s.Reason == byOperator }

// End ends the sessions that are selected as Drain does, each after the command or message
// that it is at; now: at once, without a reply. It returns how many it has told to end.
func (e *Edge) End(ctx context.Context, sel Selection, now bool) (int, error) {
	var told atomic.Int64
	err := e.visit(ctx, func() func(*Session) {
		return func(s *Session) {
			if _, fits := sel.selects(s); !fits || s.Closing && !now {
				return
			}
			told.Add(1)
			s.Reason = byOperator
			if now {
				s.Conn.Abort()
			} else {
				s.ender.shutdown()
			}
		}
	})
	return int(told.Load()), err
}

// visit calls a function for each open session, on the goroutine of the session's loop. Each
// loop has a function of its own from visitor. It returns when all sessions have been visited
// that were open at the call, or ctx ends. A function may end its session.
func (e *Edge) visit(ctx context.Context, visitor func() func(*Session)) error {
	done := make(chan struct{}, len(e.loops))
	for _, p := range e.loops {
		w := &walk{ctx: ctx, of: p, see: visitor(), done: done}
		if !p.loop.Post(w) {
			done <- struct{}{}
		}
	}
	for range e.loops {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// walkStep is how many sessions a walk visits before the loop serves connections again.
const walkStep = 256

// walk visits the sessions of a loop, in steps. It belongs to the loop's goroutine.
type walk struct {
	ctx   context.Context
	of    *perLoop
	see   func(*Session)
	done  chan<- struct{}
	begun bool
	next  *Session // Session.close moves it on when that session ends
}

// Run implements loop.Task.
func (w *walk) Run() {
	if !w.begun {
		w.begun, w.next = true, w.of.first
		w.of.walks = append(w.of.walks, w)
	}
	for i := 0; i < walkStep && w.next != nil; i++ {
		s := w.next
		w.next = s.next
		w.see(s)
	}
	if w.next != nil && w.ctx.Err() == nil && w.of.loop.Post(w) {
		return
	}
	i := slices.Index(w.of.walks, w)
	w.of.walks = slices.Delete(w.of.walks, i, i+1)
	w.done <- struct{}{}
}
