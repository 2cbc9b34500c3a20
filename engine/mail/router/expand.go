package router

import (
	"cmp"

	"postrider/codec/address"
	"postrider/codec/smtp"
	"postrider/storage"
)

// Dead is a member of an alias that leads to no mailbox.
type Dead struct {
	Mailbox string  // a mailbox in one of our domains, as RFC 5321 writes it
	Domain  string  // its domain, folded
	Outcome Outcome // Unknown; Loop: an alias that leads to itself alone; ForwardLoop; Disabled; or Full
}

// alias is an alias that mail came for: where it was found, what was asked for, and
// its entry.
type alias struct {
	at, asked mailbox
	storage.Address
}

// mark is the address of an alias, found at at, as Delivered-To has it. It has the
// same form for each spelling of the address, and for each tag after the delimiter. A
// letter beyond ASCII would keep the message from hosts without SMTPUTF8: it is written
// in xtext (RFC 3461 section 4). A catch-all has no address: its mark is asked, the
// address that it catches.
func mark(at, asked mailbox) string {
	if at.local == "" {
		at = asked
	}
	text := at.String()
	if !address.IsDNS(text) {
		text = string(smtp.AppendXtext(nil, []byte(text)))
	}
	return text[:min(len(text), maxMark)]
}

// maxMark bounds a mark: with its field's name it fits into storage.MaxFront beside a
// signature. Only what a catch-all caught can be longer, and is cut.
const maxMark = 480

// expansion is one alias being expanded.
type expansion struct {
	r     *Router
	dst   []Target
	held  map[storage.AccountID]bool // the accounts in dst
	sent  map[string]bool            // the mailboxes elsewhere in dst, by key
	met   map[mailbox]*member
	order []*member // met, as they came

	mark string           // mark of the alias that is expanded
	past map[mailbox]bool // aliases that have sent the message elsewhere before

	visited int  // targets looked at
	deep    bool // aliases of aliases over maxDepth

	outcome Outcome
	dead    []Dead
	// selfless: the alias names itself, and there is no account of its name.
	selfless bool
}

// member is an alias that was gone through, or an address that does not exist.
type member struct {
	mailbox
	parents []*member // the aliases that name it
	alias   bool
	alive   bool   // it leads to a mailbox
	told    bool   // it leads to an address that does not exist, or to past
	far     bool   // it leads to a mailbox elsewhere
	past    bool   // it is one of expansion.past
	caught  string // for a catch-all: its own target that it catches
	via     string // for a catch-all: the target by which it was met first
}

// maxDepth bounds aliases of aliases, and with them the stack.
const maxDepth = 100

// expand resolves an alias. dst comes back as it was unless the outcome is Local. An
// alias at which the message has been, and which leads to a mailbox elsewhere, is not
// gone through again.
func (r *Router) expand(a alias, dst []Target, been func(address []byte) bool) *expansion {
	x := r.expandPast(a, dst, nil)
	if been == nil || x.outcome != Local {
		return x
	}
	past := make(map[mailbox]bool)
	for i, m := range x.order {
		asked := a.asked
		if i > 0 {
			asked = mailbox{}
			asked.local, asked.domain = cut(m.via)
		}
		if m.alias && m.far && been([]byte(mark(m.mailbox, asked))) {
			past[m.mailbox] = true
		}
	}
	if len(past) > 0 {
		return r.expandPast(a, dst, past)
	}
	return x
}

// expandPast is expand, but for the aliases in past.
func (r *Router) expandPast(a alias, dst []Target, past map[mailbox]bool) *expansion {
	x := &expansion{
		r: r, dst: dst,
		held: make(map[storage.AccountID]bool, len(dst)+len(a.Targets)),
		met:  make(map[mailbox]*member),
		mark: mark(a.at, a.asked), past: past,
	}
	for _, t := range dst {
		if t.Account != 0 {
			x.held[t.Account] = true
		} else {
			x.send(t.Remote)
		}
	}
	root := x.alias(nil, a.at, a.Address, 0)
	x.bury()
	switch {
	case x.visited > MaxExpansion || x.deep:
		x.outcome, x.dead = Loop, nil
	case root.alive:
		x.outcome = Local
	case len(past) > 0:
		x.outcome = ForwardLoop
	case !root.told:
		x.outcome = Loop
	}
	if x.outcome != Local {
		x.dst = dst
	}
	return x
}

// alias goes through the targets of one alias, which parent names.
func (x *expansion) alias(parent *member, at mailbox, found storage.Address, depth int) *member {
	m := x.met[at]
	if m != nil {
		x.join(parent, m)
		return m
	}
	if m = x.meet(parent, at); depth > maxDepth {
		x.deep = true
		return m
	}
	m.alias = true
	if x.past[at] {
		m.past = true
		x.rise(m, told)
		return m
	}
	for _, t := range found.Targets {
		if x.visited++; x.visited > MaxExpansion || x.deep {
			break
		}
		x.target(m, t, found.Account, depth)
	}
	return m
}

// target resolves one target of the alias parent; account is the one that has the
// alias's name, or 0.
func (x *expansion) target(parent *member, text string, account storage.AccountID, depth int) {
	local, domain := cut(text)
	a, ours := x.r.mailbox([]byte(local), []byte(domain))
	if !ours {
		x.elsewhere(parent, a)
		return
	}
	found, at, ok := x.r.find(a)
	switch {
	case !ok:
		if m := x.met[a]; m != nil {
			x.join(parent, m)
			return
		}
		x.rise(x.meet(parent, a), told)
	case at == parent.mailbox && account != 0, len(found.Targets) == 0:
		x.rise(parent, alive)
		if !x.held[found.Account] {
			x.held[found.Account] = true
			x.dst = append(x.dst, Target{Account: found.Account, Expanded: a.String(), Refused: found.Refused, Full: found.Full})
		}
	default:
		if at == parent.mailbox {
			if at.local == "" {
				parent.caught = a.String()
			} else if depth == 0 {
				x.selfless = true
			}
		}
		if m := x.alias(parent, at, found, depth+1); at.local == "" && m.via == "" {
			m.via = a.String()
		}
	}
}

// elsewhere adds a target in a domain that is not ours.
func (x *expansion) elsewhere(parent *member, a mailbox) {
	if a.local == "" {
		x.rise(parent, told)
		return
	}
	x.rise(parent, alive)
	x.rise(parent, far)
	t := Target{Remote: a.String(), Domain: a.domain, Expanded: x.mark}
	if x.send(t.Remote) {
		x.dst = append(x.dst, t)
	}
}

// send notes a mailbox elsewhere and reports whether it is new.
func (x *expansion) send(remote string) bool {
	key := address.Key(remote)
	if x.sent[key] {
		return false
	}
	if x.sent == nil {
		x.sent = make(map[string]bool)
	}
	x.sent[key] = true
	return true
}

// meet notes a member that was not met before.
func (x *expansion) meet(parent *member, at mailbox) *member {
	m := &member{mailbox: at}
	x.met[at] = m
	x.order = append(x.order, m)
	x.join(parent, m)
	return m
}

// join notes that parent names m; what is known of m holds for parent too.
func (x *expansion) join(parent, m *member) {
	if parent == nil {
		return
	}
	m.parents = append(m.parents, parent)
	if m.alive {
		x.rise(parent, alive)
	}
	if m.told {
		x.rise(parent, told)
	}
	if m.far {
		x.rise(parent, far)
	}
}

// alive, told and far are the marks that rise sets.
func alive(m *member) *bool { return &m.alive }
func told(m *member) *bool  { return &m.told }
func far(m *member) *bool   { return &m.far }

// rise sets a mark of m and of all that lead to m, each once.
func (x *expansion) rise(m *member, mark func(*member) *bool) {
	for todo := []*member{m}; len(todo) > 0; {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if *mark(m) {
			continue
		}
		*mark(m) = true
		todo = append(todo, m.parents...)
	}
}

// bury lists the members that lead to no mailbox. None of them has a route of its own
// that ends at one: what is sent to a dead member comes to an end.
func (x *expansion) bury() {
	for _, m := range x.order {
		if m.caught != "" && !m.alive {
			x.rise(m, told)
			x.dead = append(x.dead, Dead{m.caught, m.domain, Unknown})
		}
	}
	for _, m := range x.order {
		switch {
		case m.alive:
		case m.past:
			x.dead = append(x.dead, Dead{cmp.Or(m.via, m.String()), m.domain, ForwardLoop})
		case !m.alias:
			x.dead = append(x.dead, Dead{m.String(), m.domain, Unknown})
		case !m.told && m.isNamed():
			x.dead = append(x.dead, Dead{cmp.Or(m.via, m.String()), m.domain, Loop})
		}
	}
}

// Dead lists the members of an alias that lead to no mailbox: members that do not exist and
// members that lead in a circle; the alias itself when it does so as a whole, or when it
// names itself, to keep a copy, and there is no account of its name.
func (r *Router) Dead(a storage.Alias) []Dead {
	at := mailbox{a.Name, a.Domain}
	account := storage.AccountID(0)
	if found, err := r.dir.Lookup(a.Name, a.Domain); err == nil {
		account = found.Account
	}
	x := r.expand(alias{at, at, storage.Address{Account: account, Targets: a.Targets}}, nil, nil)
	switch {
	case x.outcome == Loop:
		x.dead = append(x.dead, Dead{at.String(), at.domain, Loop})
	case x.selfless:
		x.dead = append(x.dead, Dead{at.String(), at.domain, Unknown})
	}
	return x.dead
}

// isNamed reports whether an alias that leads to a mailbox names m.
func (m *member) isNamed() bool {
	for _, p := range m.parents {
		if p.alive {
			return true
		}
	}
	return false
}

// NextHop decides where mail for a domain goes now: to a maildrop if the domain is
// ours, else as the transports decide. rule describes the decision.
func (r *Router) NextHop(t *Transports, domain, reversePath string) (hop Hop, rule string) {
	domain = address.FoldDomain(domain)
	if r.dir.HostsDomain(domain) || r.isThisHost(domain) {
		return Hop{Kind: Maildrop}, "a domain of ours"
	}
	return t.NextHop(domain, reversePath)
}
