package lsm

import (
	"encoding/binary"
	"fmt"

	"postrider/storage"
)

// Quotas are applied by the committer, which alone knows what is in the open group. What a
// maildrop holds is read from its C row once and then kept (committer.used). For what the
// maildrops of a domain hold together see domainuse.go.

// admitQuotas returns ErrOverQuota when a recipient's maildrop, or its domain, has no room
// for the message, and notes in dl.Near which have little left.
func (c *committer) admitQuotas(dl *storage.Delivery) error {
	dl.Near = dl.Near[:0]
	clear(c.domainsUsed)
	for i := range dl.Recipients {
		r := &dl.Recipients[i]
		own, of, ok := c.s.dir.quotasOf(r.Account)
		if !ok {
			return fmt.Errorf("%w: account %d", storage.ErrNotFound, r.Account)
		}
		by := counter{1, int64(len(r.Trace)) + dl.Size}
		if own != (storage.Quota{}) {
			used, err := c.used(r.Account)
			if err != nil {
				return err
			}
			if exceeds(used.plus(by), own) {
				c.s.dir.markFull(r.Account, exceeds(used.plus(counter{1, 1}), own))
				return fmt.Errorf("%w: %s", storage.ErrOverQuota, c.s.dir.nameOf(r.Account))
			}
			if isNear(used.plus(by), own) && !isNear(used, own) {
				dl.Near = append(dl.Near, storage.NearQuota{Account: r.Account, Used: quotaOf(used.plus(by)), Quota: own})
			}
		}
		if of == nil {
			continue
		}
		if c.domainsUsed == nil {
			c.domainsUsed = make(map[*domain]counter)
		}
		before := c.s.dir.usedBy(of).plus(c.domainsUsed[of]) // with the recipients of the message so far
		if exceeds(before.plus(by), of.quota) {
			return fmt.Errorf("%w: domain %s", storage.ErrOverQuota, of.name)
		}
		if isNear(before.plus(by), of.quota) && !isNear(before, of.quota) {
			dl.Near = append(dl.Near, storage.NearQuota{Domain: of.name, Used: quotaOf(before.plus(by)), Quota: of.quota})
		}
		c.domainsUsed[of] = c.domainsUsed[of].plus(by)
	}
	return nil
}

// quotaOf is a counter in the words of the contract.
func quotaOf(c counter) storage.Quota {
	return storage.Quota{Octets: c.octets, Messages: c.messages}
}

func exceeds(used counter, q storage.Quota) bool {
	return q.Octets > 0 && used.octets > q.Octets || q.Messages > 0 && used.messages > q.Messages
}

// isNear reports whether storage.QuotaWarning percent of a quota is used.
func isNear(used counter, q storage.Quota) bool {
	return q.Octets > 0 && used.octets >= part(q.Octets) || q.Messages > 0 && used.messages >= part(q.Messages)
}

// part is QuotaWarning percent of n, rounded up, without an overflow.
func part(n int64) int64 {
	return n/100*storage.QuotaWarning + (n%100*storage.QuotaWarning+99)/100
}

// markFull notes whether an account's maildrop has no room for any message.
func (d *directory) markFull(id storage.AccountID, full bool) {
	if _, is := d.full[id]; is == full {
		return // only the committer changes it
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if full {
		d.full[id] = struct{}{}
	} else {
		delete(d.full, id)
	}
}

// nameOf is the address of an account, for errors.
func (d *directory) nameOf(id storage.AccountID) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r := d.recordOf(id)
	if r == nil {
		return fmt.Sprintf("account %d", id)
	}
	return string(r.name()) + "@" + d.numbered[r.domain()].name
}

// The kinds of a D row: the first octet of its value.
const (
	domainPlain = 1 // nothing follows: what programs before format 5 wrote
	domainQuota = 2 // octets(8) messages(8) follow
	domainAlias = 3 // the domain that it is an alias of follows
)

// appendDomain appends the value of a D row.
func appendDomain(dst []byte, d storage.Domain) []byte {
	switch {
	case d.AliasOf != "":
		return append(append(dst, domainAlias), d.AliasOf...)
	case d.Quota != (storage.Quota{}):
		dst = binary.BigEndian.AppendUint64(append(dst, domainQuota), uint64(d.Quota.Octets))
		return binary.BigEndian.AppendUint64(dst, uint64(d.Quota.Messages))
	}
	return append(dst, domainPlain)
}

// parseDomain reads what appendDomain wrote.
func parseDomain(name string, v []byte) (storage.Domain, error) {
	d := storage.Domain{Name: name}
	switch {
	case len(v) == 1 && v[0] == domainPlain:
	case len(v) == 17 && v[0] == domainQuota:
		d.Quota = storage.Quota{Octets: int64(binary.BigEndian.Uint64(v[1:])), Messages: int64(binary.BigEndian.Uint64(v[9:]))}
	case len(v) > 1 && v[0] == domainAlias:
		d.AliasOf = string(v[1:])
	default:
		return d, fmt.Errorf("%w: row of the domain %s", storage.ErrCorrupt, name)
	}
	return d, nil
}
