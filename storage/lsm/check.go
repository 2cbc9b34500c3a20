package lsm

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
	"postrider/storage/lsm/files"
)

// Check implements storage.Store. It reads a snapshot in passes: the directory,
// the maildrops and the deleted messages with their bodies, the counters, the mail queue with its bodies and
// its index rows, the owners of shared bodies, bodies without an owner, and what no
// crash should leave. Rows that can't be read are reported and passed over (checkrows.go);
// when something could not be read, the files are read one by one, to name the damaged
// ones. It keeps 8 octets in memory for each body, some 40 more for each that is shared, the
// accounts, and the destinations. When the store is being closed it ends with ErrClosed.
func (s *Store) Check(ctx context.Context, report func(storage.Fault)) (storage.CheckSummary, error) {
	if err := s.guests.enter(); err != nil {
		return storage.CheckSummary{}, err
	}
	defer s.guests.leave()
	ctx, done := s.untilClosing(ctx)
	defer done()
	c := &check{ctx: ctx, s: s, report: report,
		counted: make(map[storage.AccountID]counter),
		owners:  make(map[storage.MessageID]uint32),
		lost:    make(map[byte]bool),
	}
	err := s.do(&call{alone: true, stage: func(*pebble.Batch) error {
		c.rows = s.db.NewSnapshot()
		s.drafts.mu.Lock()
		c.drafts = maps.Clone(s.drafts.open)
		s.drafts.mu.Unlock()
		return nil
	}})
	if errors.Is(err, storage.ErrFailed) && c.rows == nil {
		c.rows = s.db.NewSnapshot() // a store that can't write can be checked
	} else if err != nil && c.rows == nil {
		return c.sum, err
	}
	defer c.rows.Close()
	for _, pass := range []func() error{c.directory, c.removedAccounts, c.maildrops, c.deleted, c.uidls, c.counters, c.marks, c.queue, c.places, c.indexes, c.queueTotal, c.ids, c.refs, c.bodies, c.remains, c.files} {
		select {
		case <-s.closing: // ctx ends a moment later
			return c.sum, storage.ErrClosed
		default:
		}
		if err := c.pass(pass); err != nil {
			return c.sum, cmp.Or(context.Cause(ctx), err)
		}
	}
	return c.sum, nil
}

// check is one run of Check.
type check struct {
	ctx      context.Context
	s        *Store
	rows     *pebble.Snapshot
	drafts   map[storage.MessageID]struct{} // open when the snapshot was taken
	accounts map[storage.AccountID]storage.Account
	removed  map[storage.AccountID]bool
	domains  map[string]struct{}
	counted  map[storage.AccountID]counter // what the M rows add up to
	owners   map[storage.MessageID]uint32  // M, K and Q rows of each shared body
	owned    []storage.MessageID           // all bodies that have an owner
	last     storage.MessageID             // the highest id that was met
	marked   map[string]struct{}           // destinations with a W row
	queued   counter                       // what the Q rows add up to
	statuses int64                         // Q rows with a status
	inPlace  int64                         // E rows that lead to a Q row
	lost     map[byte]bool                 // tags of rows that can't be read
	damaged  bool                          // something could not be read
	sum      storage.CheckSummary
	report   func(storage.Fault)
}

func (c *check) fault(a storage.AccountID, id storage.MessageID, format string, args ...any) {
	c.sum.Faults++
	c.report(storage.Fault{Account: a, Message: id, Text: fmt.Sprintf(format, args...)})
}

// pass runs one pass. A damaged file ends the pass, not the check.
func (c *check) pass(f func() error) error {
	err := func() (err error) {
		defer c.s.recoverRead(&err)
		return f()
	}()
	if errors.Is(err, storage.ErrCorrupt) {
		c.damaged = true
		c.fault(0, 0, "a part of the store can't be read and was not checked: %v", err)
		return nil
	}
	return err
}

// files names the damaged files, if there are some.
func (c *check) files() error {
	if !c.damaged {
		return nil
	}
	found, err := files.Verify(c.ctx, c.s.fs, c.s.opts.Dir, merger.Name)
	for _, l := range found {
		c.fault(0, 0, "file %s: %s", l.File, l.Text)
	}
	if len(found) == 0 && err == nil {
		c.fault(0, 0, "all files of the store can be read now: the disk gives other octets from time to time; look at its log")
	}
	return err
}

// directory checks that addresses, accounts and domains fit together.
func (c *check) directory() error {
	c.accounts = make(map[storage.AccountID]storage.Account)
	c.domains = make(map[string]struct{})
	if err := c.domainRows(); err != nil {
		return err
	}
	if err := c.scan(tagAccount, c.account); err != nil {
		return err
	}
	unnamed := maps.Clone(c.accounts)
	if err := c.scan(tagAddress, func(k, v []byte) error { c.address(k, v, unnamed); return nil }); err != nil {
		return err
	}
	for id, a := range unnamed {
		c.fault(id, 0, "account %s@%s has no address: no mail reaches it", a.Name, a.Domain)
	}
	return c.scan(tagLogin, func(k, v []byte) error {
		id := accountOfKey(k)
		if _, ok := c.accounts[id]; !ok || len(v) != 8 {
			c.fault(id, 0, "the row of a last login belongs to no account, or can't be read: it does no harm")
		}
		return nil
	})
}

// domainRows reads the domains, and checks that domain aliases lead to some of them.
func (c *check) domainRows() error {
	aliases := make(map[string]string)
	err := c.scan(tagDomain, func(k, v []byte) error {
		d, err := parseDomain(string(k[1:]), v)
		switch {
		case err != nil:
			c.fault(0, 0, "the row of the domain %q can't be read: %v", k[1:], err)
		case d.AliasOf != "":
			aliases[d.Name] = d.AliasOf
			return nil
		}
		c.domains[d.Name] = struct{}{}
		return nil
	})
	for name, of := range aliases {
		if _, ok := c.domains[of]; !ok {
			c.fault(0, 0, "the domain alias %s leads to %s, which is not ours: mail for it is refused", name, of)
		}
	}
	return err
}

func (c *check) account(k, v []byte) error {
	c.sum.Accounts++
	id := accountOfKey(k)
	a, err := parseAccount(id, v)
	if err != nil {
		c.fault(id, 0, "the account's row can't be read: %v", err)
		return nil
	}
	a.Hash, a.Secret = "", ""
	c.accounts[id] = a
	if _, ok := c.domains[a.Domain]; !ok {
		c.fault(id, 0, "account %s@%s has a domain that is not ours", a.Name, a.Domain)
	}
	return nil
}

func (c *check) address(k, v []byte, unnamed map[storage.AccountID]storage.Account) {
	a, err := parseAddress(v)
	switch {
	case err != nil:
		c.fault(0, 0, "the row of address %q can't be read: no mail reaches it", k[1:])
	case a.account == 0:
	default:
		acct, ok := c.accounts[a.account]
		if !ok || string(addressKey(acct.Name, acct.Domain)) != string(k) {
			c.fault(a.account, 0, "the address %q leads to account %d, which has another name or does not exist", k[1:], a.account)
		}
		delete(unnamed, a.account)
	}
}

// maildrops reads every message of every maildrop.
func (c *check) maildrops() error {
	return c.scan(tagMaildrop, func(k, v []byte) error {
		account, id := accountOfKey(k), idOfMaildropKey(k)
		c.last = max(c.last, id)
		c.sum.Messages++
		var e entry
		if err := e.parse(v); err != nil {
			c.fault(account, id, "the message's row can't be read: %v", err)
			return nil
		}
		n, met := c.counted[account]
		if !met {
			c.owner(account)
		}
		c.counted[account] = counter{n.messages + 1, n.octets + e.octets()}
		c.owns(account, id, e)
		return c.hasUIDL(account, id, e)
	})
}

// owns counts an owner of a body, and reads the body when it is the first.
func (c *check) owns(account storage.AccountID, id storage.MessageID, e entry) {
	if e.shared() {
		c.owners[id]++
		if c.owners[id] > 1 {
			return
		}
	}
	c.owned = append(c.owned, id)
	c.body(account, id, e)
}

// ids checks that all ids are below the bound.
func (c *check) ids() error {
	bound, err := c.s.number(keyIDBound)
	if errors.Is(err, storage.ErrCorrupt) {
		return err
	}
	if err == nil && uint64(c.last) >= bound && c.last != 0 {
		c.fault(0, c.last, "the message has an id above the bound %d: ids may be given twice", bound)
	}
	return err
}

// owner checks that a maildrop belongs to an account, or to one that was removed or is
// being deleted.
func (c *check) owner(id storage.AccountID) {
	if _, ok := c.accounts[id]; ok || c.removed[id] || c.isDoomed(id) {
		return
	}
	c.fault(id, 0, "a maildrop belongs to no account: it can't be read")
}

// body reads a body to its end, which checks its lengths and checksums.
func (c *check) body(account storage.AccountID, id storage.MessageID, e entry) {
	c.sum.Bodies++
	m := &message{s: c.s, rows: c.rows, id: id, entry: e}
	defer m.Close()
	for {
		p, err := m.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			c.damaged = true
			c.fault(account, id, "the message can't be read: %v", err)
			return
		}
		c.sum.Octets += int64(len(p))
	}
}

// counters compares the C rows with what the maildrops hold.
func (c *check) counters() error {
	if c.lost[tagMaildrop] {
		return nil // they count what can't be read
	}
	err := c.scan(tagCount, func(k, v []byte) error {
		id := accountOfKey(k)
		n, err := parseCounter(v)
		if err != nil {
			c.fault(id, 0, "the maildrop's counter can't be read: %v", err)
			return nil
		}
		if want := c.counted[id]; n != want {
			c.fault(id, 0, "the maildrop's counter says %d messages of %d octets; it holds %d of %d: its quota is applied wrongly", n.messages, n.octets, want.messages, want.octets)
		}
		delete(c.counted, id)
		return nil
	})
	for _, id := range slices.Sorted(maps.Keys(c.counted)) {
		if n := c.counted[id]; err == nil {
			c.fault(id, 0, "the maildrop has no counter, and holds %d messages: its quota is applied wrongly", n.messages)
		}
	}
	return err
}

// refs compares the R rows with the owners that were met.
func (c *check) refs() error {
	if c.lost[tagMaildrop] || c.lost[tagKept] || c.lost[tagQueue] {
		return nil // they count what can't be read
	}
	owners := c.owners // not used any more after this
	err := c.scan(tagRefs, func(k, v []byte) error {
		id := idOfKey(k)
		if len(v) != 4 || binary.BigEndian.Uint32(v) != owners[id] {
			c.fault(0, id, "the count of the body's owners is %x, but it has %d: it will be deleted too early or never", v, owners[id])
		}
		delete(owners, id)
		return nil
	})
	for id := range owners {
		if err == nil {
			c.fault(0, id, "a shared body has no count of its owners: it will never be deleted")
		}
	}
	return err
}

// bodies looks for bodies without an owner: both lists are in the order of ids.
func (c *check) bodies() error {
	slices.Sort(c.owned)
	owned := c.owned
	for i := 1; i < len(owned); i++ {
		if owned[i] == owned[i-1] {
			c.fault(0, owned[i], "a body has several owners and no count of them: it will be deleted too early")
		}
	}
	var last storage.MessageID
	return c.keys(tagBody, func(k []byte) {
		id := idOfKey(k)
		if id == last {
			return
		}
		last = id
		for len(owned) > 0 && owned[0] < id {
			owned = owned[1:]
		}
		if len(owned) > 0 && owned[0] == id {
			return
		}
		_, draft := c.drafts[id]
		switch {
		case draft:
		case c.lost[tagMaildrop] || c.lost[tagKept] || c.lost[tagQueue]:
			c.fault(0, id, "the message has a body, and its row can't be read: salvage gets it out")
		default:
			c.fault(0, id, "a body is in no maildrop and not in the queue: it wastes space")
		}
	})
}

// remains looks for what a start should have ended.
func (c *check) remains() error {
	for _, path := range damagedLogs(c.s.fs, c.s.opts.Dir) {
		if info, err := c.s.fs.Stat(path); err == nil && info.Size() == 0 {
			c.fault(0, 0, "a log of the store was missing at a start, and acknowledged messages may be lost: delete %s when you don't need to be told", path)
			continue
		}
		c.fault(0, 0, "the disk damaged a log of the store, and acknowledged messages are missing: %s is a copy of the log; delete it when you don't need it", path)
	}
	return c.keys(tagDraft, func(k []byte) {
		if _, ok := c.drafts[idOfKey(k)]; !ok {
			c.fault(0, idOfKey(k), "a draft is left over: the next start of the store removes it")
		}
	})
}
