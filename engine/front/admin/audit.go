package admin

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os/user"
	"strconv"
	"sync"

	"postrider/engine/host/history"
	"postrider/engine/host/unixsocket"
	"postrider/storage"
)

// Every act of an operator is a line of the log: what was done, to what or how many, and by
// which user of this machine. Questions are none.

// audited is a store whose changes are logged.
type audited struct {
	storage.Store
	log     *slog.Logger // with the operator
	history *history.Log
	by      string // the operator
}

// did logs an act that is done.
func (a *audited) did(err error, what string, facts ...any) {
	if err == nil {
		a.log.Info(what, facts...)
	}
}

// AddAccount implements Store.
func (a *audited) AddAccount(n storage.NewAccount) (storage.AccountID, error) {
	id, err := a.Store.AddAccount(n)
	a.did(err, "account added", "account", n.Name+"@"+n.Domain)
	return id, err
}

// AddAccounts implements Store.
func (a *audited) AddAccounts(ns []storage.NewAccount) error {
	err := a.Store.AddAccounts(ns)
	a.did(err, "accounts added", "accounts", len(ns))
	return err
}

// SetPassword implements Store.
func (a *audited) SetPassword(id storage.AccountID, hash, secret string) error {
	name := a.name(id)
	err := a.Store.SetPassword(id, hash, secret)
	a.did(err, "password changed", "account", name)
	return err
}

// ChangeAccount implements Store.
func (a *audited) ChangeAccount(id storage.AccountID, c storage.AccountChange) error {
	facts := []any{"account", a.name(id)}
	if c.Name != nil && c.Domain != nil {
		facts = append(facts, "name", *c.Name+"@"+*c.Domain)
	}
	if c.Quota != nil {
		facts = append(facts, "quota", *c.Quota)
	}
	if c.MaxMessages != nil {
		facts = append(facts, "max_messages", *c.MaxMessages)
	}
	if c.Expire != nil {
		facts = append(facts, "expire", expireWord(*c.Expire))
	}
	if c.Access != nil {
		facts = append(facts, "access", accesses[*c.Access])
	}
	err := a.Store.ChangeAccount(id, c)
	a.did(err, "account changed", facts...)
	return err
}

// accesses are the words for what an account may do.
var accesses = map[storage.Access]string{storage.FullAccess: "full", storage.NoLogin: "no login", storage.NoMail: "no login, no mail"}

// SetVerifier implements Store.
func (a *audited) SetVerifier(id storage.AccountID, hash, verifier string) error {
	err := a.Store.SetVerifier(id, hash, verifier)
	a.did(err, "verifier for SCRAM added", "account", a.name(id))
	return err
}

// RemoveAccount implements Store.
func (a *audited) RemoveAccount(id storage.AccountID) error {
	name := a.name(id)
	messages, octets, _ := a.Usage(id)
	err := a.Store.RemoveAccount(id)
	a.did(err, "account removed", "account", name, "messages", messages, "size", octets)
	return err
}

// Remove implements Store.
func (a *audited) Remove(id storage.AccountID, messages []storage.MessageID) error {
	err := a.Store.Remove(id, messages)
	a.did(err, "messages deleted", "account", a.name(id), "messages", len(messages))
	if err == nil {
		a.history.AddDeleted(messages, a.name(id), a.by, "")
	}
	return err
}

// name is the address of an account, for the log.
func (a *audited) name(id storage.AccountID) string {
	if found, err := a.Account(id); err == nil {
		return found.Name + "@" + found.Domain
	}
	return strconv.FormatUint(uint64(id), 10)
}

// AddDomain implements Store.
func (a *audited) AddDomain(domain string) error {
	err := a.Store.AddDomain(domain)
	a.did(err, "domain added", "domain", domain)
	return err
}

// AddDomainAlias implements Store.
func (a *audited) AddDomainAlias(domain, of string) error {
	err := a.Store.AddDomainAlias(domain, of)
	a.did(err, "domain alias added", "domain", domain, "of", of)
	return err
}

// SetDomainQuota implements Store.
func (a *audited) SetDomainQuota(domain string, q storage.Quota) error {
	err := a.Store.SetDomainQuota(domain, q)
	a.did(err, "domain quota set", "domain", domain, "quota", q.Octets, "max_messages", q.Messages)
	return err
}

// RemoveDomain implements Store.
func (a *audited) RemoveDomain(domain string) error {
	err := a.Store.RemoveDomain(domain)
	a.did(err, "domain removed", "domain", domain)
	return err
}

// SetAliases implements Store.
func (a *audited) SetAliases(as []storage.Alias) error {
	err := a.Store.SetAliases(as)
	if len(as) == 1 {
		a.did(err, "alias set", "alias", as[0].Name+"@"+as[0].Domain, "targets", len(as[0].Targets))
	} else {
		a.did(err, "aliases set", "aliases", len(as))
	}
	return err
}

// RemoveAlias implements Store.
func (a *audited) RemoveAlias(local, domain string) error {
	err := a.Store.RemoveAlias(local, domain)
	a.did(err, "alias removed", "alias", local+"@"+domain)
	return err
}

// moves are the words for what is done to entries of the queue.
var moves = map[storage.QueueMove]string{
	storage.RequeueNow: "queue entries made due", storage.Hold: "queue entries held",
	storage.Release: "queue entries released", storage.DropQueued: "queue entries removed",
}

// acts are the same for the history of a message.
var acts = map[storage.QueueMove]string{storage.RequeueNow: "made due", storage.Hold: "held", storage.Release: "released", storage.DropQueued: "removed from the queue"}

// MoveQueued implements Store.
func (a *audited) MoveQueued(ids []storage.EntryID, m storage.QueueMove) (int, error) {
	n, err := a.Store.MoveQueued(ids, m)
	if n > 0 {
		a.did(nil, moves[m], "entries", n)
		a.history.AddActs(ids, acts[m], a.by)
	}
	return n, err
}

// Checkpoint implements Store.
func (a *audited) Checkpoint() (dir string, remove func() error, err error) {
	dir, remove, err = a.Store.Checkpoint()
	a.did(err, "checkpoint made for a backup", "dir", dir)
	return dir, remove, err
}

// auditedRelay is a relay whose acts are logged.
type auditedRelay struct {
	Relay
	log     *slog.Logger
	history *history.Log
	by      string
}

// Bounce implements Relay.
func (a *auditedRelay) Bounce(ids []storage.EntryID, reason string) ([]storage.EntryID, error) {
	returned, err := a.Relay.Bounce(ids, reason)
	if n := len(returned); n > 0 {
		a.log.Info("queue entries returned to their senders", "entries", n, "reason", reason)
		a.history.AddActs(returned, "returned to the sender: "+reason, a.by)
	}
	return returned, err
}

// Flush implements Relay.
func (a *auditedRelay) Flush(domain string) {
	a.Relay.Flush(domain)
	if domain == "" {
		a.log.Info("queue flushed")
		return
	}
	a.log.Info("queue flushed", "domain", domain)
}

// operatorKey is the key of a connection's user in the context of its requests.
type operatorKey struct{}

// withOperator notes the user at the other end of a connection.
func withOperator(ctx context.Context, c net.Conn) context.Context {
	if u, ok := c.(*net.UnixConn); ok {
		if uid, err := unixsocket.Peer(u); err == nil {
			return context.WithValue(ctx, operatorKey{}, uid)
		}
	}
	return ctx
}

// byOperator has each request answered by the handler of its user, so that acts are logged
// with the user's name. There are as many handlers as users that can open the socket: root
// and the user of the server.
func byOperator(log *slog.Logger, build func(log *slog.Logger, by string) http.Handler) http.Handler {
	var mu sync.Mutex
	handlers := map[string]http.Handler{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "unknown"
		if uid, ok := r.Context().Value(operatorKey{}).(uint32); ok {
			name = userName(uid)
		}
		mu.Lock()
		h := handlers[name]
		if h == nil {
			h = build(log.With("daemon", "admin", "by", name), name)
			handlers[name] = h
		}
		mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// userName is the name of a user of this machine, or the number of one without.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
