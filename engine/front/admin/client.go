package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"postrider/storage"
)

// Client is the store of a running server, reached over its socket. Unlike a
// store's, its methods wait for the server, also methods that "never block" there:
// Client is for commands, not for event loops.
type Client struct {
	http http.Client
	path string
}

var _ Store = (*Client)(nil)

// Dial finds a server at the socket. The error is fs.ErrNotExist or
// ECONNREFUSED when there is none.
func Dial(ctx context.Context, path string) (*Client, error) {
	probe, err := dial(ctx, path)
	if err != nil {
		return nil, err
	}
	probe.Close()
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
		MaxIdleConnsPerHost: 16,
	}
	return c, nil
}

// Close lets go of the connections. The server runs on.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Status asks how the server is.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/status", nil)
	if err != nil {
		return s, err
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return s, c.gone(err)
	}
	defer answer.Body.Close()
	return s, json.NewDecoder(answer.Body).Decode(&s)
}

// gone is the error of a server that did not answer.
func (c *Client) gone(err error) error {
	return fmt.Errorf("%w: the server at %s does not answer: %v", storage.ErrTemporary, c.path, err)
}

// post sends the request of a method and returns its answer, to be closed, or
// the error that the server sent.
func (c *Client) post(ctx context.Context, name string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/v1/"+name, body)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, c.gone(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	w := new(wireError)
	if json.NewDecoder(answer.Body).Decode(w) != nil || w.Text == "" {
		return nil, fmt.Errorf("the server at %s does not know %q (%s): is it another version?", c.path, name, answer.Status)
	}
	return nil, w
}

// ask calls a method: JSON out, JSON back into answer.
func (c *Client) ask(name string, arg, answer any) error {
	b, err := json.Marshal(arg)
	if err != nil {
		return err
	}
	body, err := c.post(context.Background(), name, bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return c.gone(err)
	}
	return nil
}

// HostsDomain implements storage.Directory; false as well when the server is gone.
func (c *Client) HostsDomain(domain string) (is bool) {
	_ = c.ask("hosts-domain", domain, &is)
	return is
}

// Lookup implements storage.Directory.
func (c *Client) Lookup(local, domain string) (a storage.Address, err error) {
	return a, c.ask("lookup", addressArg{local, domain}, &a)
}

// Account implements storage.Directory.
func (c *Client) Account(id storage.AccountID) (a storage.Account, err error) {
	return a, c.ask("account", id, &a)
}

// AddAccount implements storage.Directory.
func (c *Client) AddAccount(a storage.NewAccount) (id storage.AccountID, err error) {
	return id, c.ask("add-account", a, &id)
}

// AddAccounts implements storage.Directory.
func (c *Client) AddAccounts(as []storage.NewAccount) error {
	return c.ask("add-accounts", as, new(none))
}

// SetPassword implements storage.Directory.
func (c *Client) SetPassword(id storage.AccountID, hash, secret string) error {
	return c.ask("set-password", passwordArg{id, hash, secret}, new(none))
}

// SetVerifier implements storage.Directory.
func (c *Client) SetVerifier(id storage.AccountID, hash, verifier string) error {
	return c.ask("set-verifier", verifierArg{id, hash, verifier}, new(none))
}

// ChangeAccount implements storage.Directory.
func (c *Client) ChangeAccount(id storage.AccountID, change storage.AccountChange) error {
	return c.ask("change-account", changeArg{id, change}, new(none))
}

// NoteLogin implements storage.Directory.
func (c *Client) NoteLogin(id storage.AccountID, at time.Time) {
	_ = c.ask("note-login", loginArg{id, at}, new(none))
}

// RemoveAccount implements storage.Directory.
func (c *Client) RemoveAccount(id storage.AccountID) error {
	return c.ask("remove-account", id, new(none))
}

// Accounts implements storage.Directory.
func (c *Client) Accounts(f func(storage.Account) bool) error { return each(c, "accounts", f) }

// SetAliases implements storage.Directory.
func (c *Client) SetAliases(as []storage.Alias) error { return c.ask("set-aliases", as, new(none)) }

// RemoveAlias implements storage.Directory.
func (c *Client) RemoveAlias(local, domain string) error {
	return c.ask("remove-alias", addressArg{local, domain}, new(none))
}

// Aliases implements storage.Directory.
func (c *Client) Aliases(f func(storage.Alias) bool) error { return each(c, "aliases", f) }

// Usage implements storage.Maildrops.
func (c *Client) Usage(id storage.AccountID) (messages, octets int64, err error) {
	var u usageAnswer
	err = c.ask("usage", id, &u)
	return u.Messages, u.Octets, err
}

// each calls f for each element of a method's answer.
func each[T any](c *Client, name string, f func(T) bool) error {
	var all []T
	if err := c.ask(name, none{}, &all); err != nil {
		return err
	}
	for _, one := range all {
		if !f(one) {
			break
		}
	}
	return nil
}

// Check implements storage.Store.
func (c *Client) Check(ctx context.Context, report func(storage.Fault)) (storage.CheckSummary, error) {
	body, err := c.post(ctx, "check", nil)
	if err != nil {
		return storage.CheckSummary{}, err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	for {
		var line checkLine
		if err := lines.Decode(&line); err != nil {
			return storage.CheckSummary{}, c.gone(errors.Join(err, ctx.Err()))
		}
		if line.Fault != nil {
			report(*line.Fault)
		}
		if line.Summary != nil {
			return *line.Summary, fromWire(line.Error)
		}
	}
}
