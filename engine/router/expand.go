package router

import "postrider/storage"

// expansion is one alias being expanded.
type expansion struct {
	r    *Router
	dst  []Target
	held map[storage.AccountID]bool // the accounts in dst
	// met holds the aliases gone through: true while their targets are looked at,
	// so that meeting such a one again is a circle.
	met     map[address]bool
	visited int  // targets looked at
	reached bool // some maildrop, new in dst or not
	circle  bool // an alias led back to itself
}

// maxDepth bounds aliases of aliases, and with them the stack.
const maxDepth = 100

// expand resolves the alias at at. dst comes back as it was unless the outcome is Local.
func (r *Router) expand(at address, targets []string, dst []Target) ([]Target, Outcome) {
	x := &expansion{
		r: r, dst: dst,
		held: make(map[storage.AccountID]bool, len(dst)+len(targets)),
		met:  make(map[address]bool),
	}
	for _, t := range dst {
		if t.Account != 0 {
			x.held[t.Account] = true
		}
	}
	x.alias(at, targets, 0)
	switch {
	case x.visited > MaxExpansion:
		return dst, Loop
	case x.reached:
		return x.dst, Local
	case x.circle:
		return dst, Loop
	}
	return dst, Unknown
}

// alias goes through the targets of one alias.
func (x *expansion) alias(at address, targets []string, depth int) {
	if open, met := x.met[at]; met || depth > maxDepth {
		x.circle = x.circle || open || !met
		return
	}
	x.met[at] = true
	for _, t := range targets {
		if x.visited++; x.visited > MaxExpansion {
			return
		}
		x.target(t, depth)
	}
	x.met[at] = false
}

// target resolves one target of an alias.
func (x *expansion) target(text string, depth int) {
	local, domain := cut(text)
	a := x.r.address([]byte(local), []byte(domain))
	if !x.r.dir.HostsDomain(a.domain) {
		x.elsewhere(a)
		return
	}
	found, at, ok := x.r.find(a)
	switch {
	case !ok:
	case found.Account == 0:
		x.alias(at, found.Targets, depth+1)
	default:
		x.reached = true
		if !x.held[found.Account] {
			x.held[found.Account] = true
			x.dst = append(x.dst, Target{Account: found.Account, Expanded: a.String()})
		}
	}
}

// elsewhere takes a target in a domain of somebody else.
func (x *expansion) elsewhere(a address) {
	if a.local == "" {
		return
	}
	x.reached = true
	t := Target{Remote: a.String(), Domain: a.domain}
	for i := range x.dst {
		if x.dst[i].Remote == t.Remote {
			return
		}
	}
	x.dst = append(x.dst, t)
}

// NextHop decides where mail for a domain, in lower case, goes now: to a maildrop
// if the domain is ours, else as the transports say. rule is that in words.
func (r *Router) NextHop(t *Transports, domain, reversePath string) (hop Hop, rule string) {
	if r.dir.HostsDomain(domain) || r.isThisHost(domain) {
		return Hop{Kind: Maildrop}, "a domain of ours"
	}
	return t.NextHop(domain, reversePath)
}
