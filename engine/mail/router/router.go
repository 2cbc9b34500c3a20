package router

import (
	"net/netip"
	"strings"
	"sync/atomic"

	"postrider/codec/address"
	"postrider/storage"
)

// Outcome is the result of routing an address.
type Outcome uint8

// The outcomes.
const (
	Unknown     Outcome = iota // in a domain of ours, but no such user (550 5.1.1)
	Local                      // at least one maildrop, or a mailbox elsewhere that an alias of ours names
	NotOurs                    // in a domain that is not ours
	Loop                       // an alias that leads to itself only, or to too many addresses
	ForwardLoop                // an alias that has sent this message elsewhere before
	Disabled                   // an account that takes no mail (550 5.2.1); only Placement.Add tells
	Full                       // a maildrop without room (452 4.2.2); only Placement.Add tells
)

// String returns the outcome in a word or two, for logs and commands.
func (o Outcome) String() string {
	switch o {
	case Local:
		return "local"
	case NotOurs:
		return "not ours"
	case Loop:
		return "alias loop"
	case ForwardLoop:
		return "mail forwarding loop"
	case Disabled:
		return "disabled"
	case Full:
		return "mailbox full"
	}
	return "unknown"
}

// Target is one maildrop, or one mailbox elsewhere, that an address leads to.
type Target struct {
	Account storage.AccountID
	// Expanded is the address that led here in the end, when an alias or a
	// catch-all is between it and the address asked for; "" otherwise.
	// It belongs into Delivered-To. Written as a Mailbox of RFC 5321. Of a mailbox
	// elsewhere it is the alias that was asked for, always in ASCII.
	Expanded string
	// Asked is the recipient that was asked for where Expanded is not empty; set by
	// Placement.
	Asked string
	// Remote is a mailbox in a domain that is not ours that an alias led to, its local
	// part in the case that the alias has, and Domain that domain, folded; then there is
	// no Account. "": a maildrop.
	Remote, Domain string
	// Refused: the account takes no mail. Full: it has no room for any. Placement takes
	// such targets out.
	Refused, Full bool
}

// MaxExpansion bounds the addresses that one alias may expand to, counting
// every alias on the way.
const MaxExpansion = 10000

// Settings are what a Router knows besides the directory.
type Settings struct {
	Hostname      string       // mail for it is mail for the default domain
	DefaultDomain string       // for an address without a domain
	Delimiter     byte         // between a name and its tag, '+'; 0: no tags
	Literals      []netip.Addr // our own addresses, for user@[192.0.2.1]
}

// Router resolves addresses. It has no state of its own and is safe for use by
// many goroutines.
type Router struct {
	dir storage.Directory
	set atomic.Pointer[Settings]
}

// New returns a Router over dir, which must answer from memory, as storage.Directory promises.
func New(dir storage.Directory, set Settings) *Router {
	r := &Router{dir: dir}
	r.Configure(set)
	return r
}

// Configure replaces the settings.
func (r *Router) Configure(set Settings) {
	set.Hostname = address.FoldDomain(set.Hostname)
	set.DefaultDomain = address.FoldDomain(set.DefaultDomain)
	r.set.Store(&set)
}

// Settings returns the settings that count now.
func (r *Router) Settings() *Settings { return r.set.Load() }

// Route finds the maildrops of local@domain, an address in any case, unquoted,
// as smtp.ForwardPath holds it; an empty domain is the default one. It appends
// to dst each maildrop that dst does not yet hold, so that handing in what
// earlier recipients of the transaction gave merges the duplicates; the outcome
// is Local even when nothing new came. The input is not kept.
func (r *Router) Route(local, domain []byte, dst []Target) ([]Target, Outcome) {
	dst, _, o := r.Resolve(local, domain, dst)
	return dst, o
}

// Holder returns the account of a maildrop.
func (r *Router) Holder(id storage.AccountID) (storage.Account, error) { return r.dir.Account(id) }

// Resolve is Route, and also returns the members of an alias that lead to no mailbox.
func (r *Router) Resolve(local, domain []byte, dst []Target) ([]Target, []Dead, Outcome) {
	return r.resolve(local, domain, dst, nil)
}

// resolve is Resolve for a message that has been at some addresses already; nil: at none.
func (r *Router) resolve(local, domain []byte, dst []Target, been func(address []byte) bool) ([]Target, []Dead, Outcome) {
	m, ours := r.mailbox(local, domain)
	if !ours {
		return dst, nil, NotOurs
	}
	found, at, ok := r.find(m)
	switch {
	case !ok:
		return dst, nil, Unknown
	case len(found.Targets) > 0:
		x := r.expand(alias{at, m, found}, dst, been)
		return x.dst, x.dead, x.outcome
	}
	return appendNew(dst, Target{Account: found.Account, Expanded: r.expandedAt(m, at), Refused: found.Refused, Full: found.Full}), nil, Local
}

// mailbox folds the domain, puts the mailbox into one of our domains if it is another
// form of it or an alias of it, and folds the local part of one that is ours.
func (r *Router) mailbox(local, domain []byte) (m mailbox, ours bool) {
	var buf [320]byte
	b := append(append(buf[:0], local...), domain...)
	s := string(b)
	m = mailbox{s[:len(local)], address.FoldDomain(s[len(local):])}
	if m.domain == "" || r.isThisHost(m.domain) {
		m.domain = r.set.Load().DefaultDomain
	}
	if ours = r.dir.HostsDomain(m.domain); ours {
		m.local = address.FoldLocal(m.local)
		if of := r.dir.DomainAlias(m.domain); of != "" {
			m.domain = of
		}
	}
	return m, ours
}

// Domain is the domain of a forward-path as destinations have it: folded, and the
// default domain where it names this host in other words or nothing.
func (r *Router) Domain(domain []byte) string {
	d := address.FoldDomain(string(domain))
	if d == "" || r.isThisHost(d) {
		return r.set.Load().DefaultDomain
	}
	return d
}

// isThisHost reports whether domain, folded, is another word for the default domain.
func (r *Router) isThisHost(domain string) bool {
	if domain == r.set.Load().DefaultDomain {
		return true
	}
	if domain == r.set.Load().Hostname {
		return !r.dir.HostsDomain(domain)
	}
	text, bracket := strings.CutPrefix(domain, "[")
	if !bracket {
		return false
	}
	text = strings.TrimPrefix(strings.TrimSuffix(text, "]"), "ipv6:")
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	for _, own := range r.set.Load().Literals {
		if own.Unmap() == ip.Unmap() {
			return true
		}
	}
	return false
}

// find takes the steps of the package comment for an address in a domain of
// ours, and returns under which name it was found.
func (r *Router) find(a mailbox) (found storage.Address, at mailbox, ok bool) {
	if a.local == "" {
		return storage.Address{}, a, false
	}
	if found, err := r.dir.Lookup(a.local, a.domain); err == nil {
		return found, a, true
	}
	base := a
	if r.set.Load().Delimiter != 0 {
		if i := strings.IndexByte(a.local, r.set.Load().Delimiter); i > 0 {
			base.local = a.local[:i]
			if found, err := r.dir.Lookup(base.local, base.domain); err == nil {
				return found, base, true
			}
		}
	}
	if base.local == postmaster {
		return r.findPostmaster()
	}
	at = mailbox{"", a.domain}
	found, err := r.dir.Lookup(at.local, at.domain)
	return found, at, err == nil
}

const postmaster = "postmaster"

// findPostmaster finds the postmaster of the host.
func (r *Router) findPostmaster() (found storage.Address, at mailbox, ok bool) {
	at = mailbox{postmaster, r.set.Load().DefaultDomain}
	if found, err := r.dir.Lookup(at.local, at.domain); err == nil {
		return found, at, true
	}
	r.dir.Accounts(func(a storage.Account) bool {
		found, at, ok = storage.Address{Account: a.ID}, mailbox{a.Name, a.Domain}, true
		return false
	})
	return found, at, ok
}

// expandedAt is Target.Expanded when a was asked for and an account found at
// at: the tag belongs to the address, so only another name or domain counts.
func (r *Router) expandedAt(a, at mailbox) string {
	rest, ok := strings.CutPrefix(a.local, at.local)
	if ok && at.domain == a.domain && (rest == "" || rest[0] == r.set.Load().Delimiter) {
		return ""
	}
	return at.String()
}

// appendNew appends t unless its account is there.
func appendNew(dst []Target, t Target) []Target {
	for i := range dst {
		if dst[i].Account == t.Account {
			return dst
		}
	}
	return append(dst, t)
}
