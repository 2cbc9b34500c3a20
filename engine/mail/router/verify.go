package router

import (
	"strings"

	"postrider/codec/address"
	"postrider/storage"
)

// Verify answers VRFY (RFC 5321 section 3.5.1): the mailbox that arg, its
// argument, means, in angle brackets; "" unless the outcome is Local. arg
// is an address with or without brackets and domain. An alias is answered by
// its own name: its members are for Expand.
func (r *Router) Verify(arg []byte) (mailbox string, o Outcome) {
	local, domain := argument(arg)
	targets, o := r.Route([]byte(local), []byte(domain), nil)
	if o != Local {
		return "", o
	}
	a, _ := r.mailbox([]byte(local), []byte(domain))
	if len(targets) == 1 && targets[0].Expanded == "" {
		return r.mailboxOf(targets[0], a), Local
	}
	return "<" + a.String() + ">", Local
}

// Expand answers EXPN (RFC 5321 section 3.5.2): the mailboxes that arg leads to
// in the end, in angle brackets, sorted as the alias lists them. An account is
// a list of itself.
func (r *Router) Expand(arg []byte) (mailboxes []string, o Outcome) {
	local, domain := argument(arg)
	targets, o := r.Route([]byte(local), []byte(domain), nil)
	a, _ := r.mailbox([]byte(local), []byte(domain))
	for _, t := range targets {
		mailboxes = append(mailboxes, r.mailboxOf(t, a))
	}
	return mailboxes, o
}

// mailboxOf is the mailbox of an account that asking for a led to.
func (r *Router) mailboxOf(t Target, a mailbox) string {
	if t.Remote != "" {
		return "<" + t.Remote + ">"
	}
	if acc, err := r.dir.Account(t.Account); err == nil {
		a = mailbox{acc.Name, acc.Domain}
	}
	return "<" + a.String() + ">"
}

// argument splits what VRFY and EXPN were asked: "jsmith", "<jsmith@foo.com>"
// or "John Smith <jsmith@foo.com>".
func argument(arg []byte) (local, domain string) {
	s := strings.TrimSpace(string(arg))
	if i := strings.LastIndexByte(s, '<'); i >= 0 && strings.HasSuffix(s, ">") {
		s = s[i+1 : len(s)-1]
	}
	local, domain = cut(s)
	return local, strings.TrimSuffix(domain, ".")
}

// Account finds the account that has the address, by step 1 and no other: what
// a login name or the argument of a command names. An alias is not an account.
// ErrNotFound when there is none.
func (r *Router) Account(local, domain []byte) (storage.Account, error) {
	a, _ := r.mailbox(local, domain)
	found, err := r.dir.Lookup(a.local, a.domain)
	if err != nil {
		return storage.Account{}, err
	}
	if found.Account == 0 {
		return storage.Account{}, storage.ErrNotFound
	}
	return r.dir.Account(found.Account)
}

// LoginName returns the address that a login name means, whether there is such an
// account or not: the same for all ways to write it.
func (r *Router) LoginName(user []byte) string {
	local, domain := cut(string(user))
	a, _ := r.mailbox([]byte(local), []byte(domain))
	a.local = address.FoldLocal(a.local)
	return a.String()
}

// Login finds the account of a login name, the whole address or the local part
// alone in the default domain, in any case; ErrNotFound. A name with "@" in it
// is not looked for without its domain.
func (r *Router) Login(user []byte) (storage.Account, error) {
	local, domain := cut(string(user))
	return r.Account([]byte(local), []byte(domain))
}
