package lsm

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// removedAccounts reads the removed accounts.
func (c *check) removedAccounts() error {
	c.removed = make(map[storage.AccountID]bool)
	err := c.scan(tagRemoved, func(k, v []byte) error {
		id := accountOfKey(k)
		c.sum.Removed++
		c.removed[id] = true
		if _, err := parseRemoved(id, v); err != nil {
			c.fault(id, 0, "the row of a removed account can't be read: it can't be restored: %v", err)
		}
		if a, ok := c.accounts[id]; ok {
			c.fault(id, 0, "account %s@%s is there and is removed, too", a.Name, a.Domain)
		}
		return nil
	})
	if err != nil || c.lost[tagAccount] || c.lost[tagRemoved] {
		return err
	}
	return c.scan(tagSince, func(k, v []byte) error {
		id := accountOfKey(k)
		if _, ok := c.accounts[id]; !ok && !c.removed[id] && !c.isDoomed(id) || len(v) != 8 {
			c.fault(id, 0, "the row of the last undelete belongs to no account, or can't be read: it does no harm")
		}
		return nil
	})
}

// deleted reads the deleted messages that are kept, with their bodies.
func (c *check) deleted() error {
	var total counter
	last := storage.AccountID(0)
	err := c.scan(tagKept, func(k, v []byte) error {
		account, id := accountOfKey(k), idOfMaildropKey(k)
		c.last = max(c.last, id)
		c.sum.Deleted++
		at, e, err := parseKept(v)
		if err != nil {
			c.fault(account, id, "the row of the deleted message can't be read: %v", err)
			return nil
		}
		if account != last {
			c.owner(account)
			last = account
		}
		total = total.plus(counter{1, e.octets()})
		c.owns(account, id, e)
		return c.hasTime(at, account, id)
	})
	if err != nil || c.lost[tagKept] {
		return err
	}
	if err := c.deletedTimes(); err != nil {
		return err
	}
	var n counter
	err = c.scan(keyKeptTotal[0], func(_, v []byte) (err error) {
		n, err = parseCounter(v)
		return err
	})
	if err == nil && n != total {
		c.fault(0, 0, "the counter of deleted mail says %d messages of %d octets; there are %d of %d", n.messages, n.octets, total.messages, total.octets)
	}
	return err
}

// hasTime checks the T row of a deleted message.
func (c *check) hasTime(at uint64, account storage.AccountID, id storage.MessageID) error {
	var k [deletedKeyLen]byte
	_, closer, err := c.rows.Get(putDeletedKey(&k, at, account, id))
	if errors.Is(err, pebble.ErrNotFound) {
		c.fault(account, id, "the time of the deletion has no row: the message is kept for ever")
		return nil
	}
	if err != nil {
		return readError(err)
	}
	return closer.Close()
}

// deletedTimes looks for T rows that lead nowhere, if there are more than messages.
func (c *check) deletedTimes() error {
	n := int64(0)
	if err := c.keys(tagDeleted, func([]byte) { n++ }); err != nil || n == c.sum.Deleted {
		return err
	}
	return c.scan(tagDeleted, func(k, _ []byte) error {
		at, account, id, err := deletedKeyOf(k)
		if err == nil {
			err = c.keptAt(at, account, id)
		}
		if errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrCorrupt) {
			c.fault(account, id, "the time of a deletion leads to no deleted message: %v", err)
			return nil
		}
		return err
	})
}

// keptAt is nil if a message has a K row with the time.
func (c *check) keptAt(at uint64, account storage.AccountID, id storage.MessageID) error {
	var k [keptKeyLen]byte
	v, closer, err := c.rows.Get(putKeptKey(&k, account, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return fmt.Errorf("%w: message %s", storage.ErrNotFound, id)
	}
	if err != nil {
		return readError(err)
	}
	defer closer.Close()
	if is, _, err := parseKept(v); err != nil || is == at {
		return err
	}
	return fmt.Errorf("%w: message %s was deleted at another time", storage.ErrNotFound, id)
}

// isDoomed reports whether an account is being deleted.
func (c *check) isDoomed(id storage.AccountID) bool {
	var k [accountKeyLen]byte
	_, closer, err := c.rows.Get(putAccountKey(&k, tagDoomed, id))
	if err != nil {
		return false
	}
	_ = closer.Close()
	return true
}
