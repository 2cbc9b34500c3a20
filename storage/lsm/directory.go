package lsm

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"postrider/storage"
)

// directory is the memory copy of the A, D and U rows: every address, by exact
// name, so that RCPT is answered without the disk. Records are in an arena of
// octets and are found by the hash of their name through a map without pointers,
// which keeps a million addresses out of the garbage collector's sight. Records
// with the same hash are chained.
//
// Only the committer's goroutine changes it, after the change was applied to the
// rows (and load, before there is a committer).
type directory struct {
	mu       sync.RWMutex
	seed     maphash.Seed
	domains  map[string]*domain
	aliases  map[string]string // domain aliases -> domains
	numbered []*domain         // by domain.number
	names    map[uint64]uint32 // hash of the name -> first record of its chain
	accounts []uint32          // by AccountID -> record; 0: none
	arena    arena
	proofs   storage.Proofs
	expires  expires
	changes  atomic.Uint64                  // see storage.Store.CredentialChanges; after the change is in the rest
	full     map[storage.AccountID]struct{} // see storage.Address.Full
	removed  map[storage.AccountID]uint64   // removed accounts that are kept, and when they were removed
	quotas   int                            // domains with a quota
	use      domainUse                      // what each domain holds
}

// domain is one of our domains. A domain that is removed and added again gets
// another number.
type domain struct {
	name      string
	number    uint32
	addresses int // its accounts and aliases
	aliases   int // domain aliases that lead to it
	quota     storage.Quota
}

// A record is, in the arena:
//
//	next(4) domain(4) account(4) nameLen(2) name
//
// and then, for an account, quota(8) created(8) messages(8) login(8) expire(8) access(1)
// hashLen(2) hash secretLen(2) secret; and for all, length(4) targets, each ended by NUL: the targets of the alias
// with this name. Most accounts have none.
const (
	recordHeadLen = 4 + 4 + 4 + 2
	accountFixed  = 5*8 + 1 // before hashLen
)

// record is a view of one record in the arena.
type record []byte

func (r record) next() uint32             { return binary.LittleEndian.Uint32(r) }
func (r record) setNext(ref uint32)       { binary.LittleEndian.PutUint32(r, ref) }
func (r record) domain() uint32           { return binary.LittleEndian.Uint32(r[4:]) }
func (r record) account() uint32          { return binary.LittleEndian.Uint32(r[8:]) }
func (r record) name() []byte             { return r[recordHeadLen:][:binary.LittleEndian.Uint16(r[12:])] }
func (r record) rest() []byte             { return r[recordHeadLen+len(r.name()):] }
func (r record) number(i int) int64       { return int64(binary.LittleEndian.Uint64(r.rest()[8*i:])) }
func (r record) quota() int64             { return r.number(0) }
func (r record) maxMessages() int64       { return r.number(2) }
func (r record) expire() time.Duration    { return time.Duration(r.number(4)) }
func (r record) access() storage.Access   { return storage.Access(r.rest()[accountFixed-1]) }
func (d *directory) at(ref uint32) record { return record(d.arena.from(ref)) }

func newDirectory() *directory {
	return &directory{
		seed:     maphash.MakeSeed(),
		domains:  make(map[string]*domain),
		aliases:  make(map[string]string),
		full:     make(map[storage.AccountID]struct{}),
		removed:  make(map[storage.AccountID]uint64),
		names:    make(map[uint64]uint32),
		accounts: make([]uint32, 1),
	}
}

func (d *directory) hash(local, domain string) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	h.WriteString(domain)
	h.WriteByte(0)
	h.WriteString(local)
	return h.Sum64()
}

// find returns the record of an exact name, or 0. Call it with mu held.
func (d *directory) find(local, domain string) uint32 {
	dom := d.domains[domain]
	if dom == nil {
		return 0
	}
	for ref := d.names[d.hash(local, domain)]; ref != 0; ref = d.at(ref).next() {
		r := d.at(ref)
		if r.domain() == dom.number && string(r.name()) == local {
			return ref
		}
	}
	return 0
}

// insert chains a record that is not there yet. Call it with mu held.
func (d *directory) insert(local, domain string, account storage.AccountID, rest []byte) {
	dom := d.domains[domain]
	h := d.hash(local, domain)
	ref, r := d.arena.take(recordHeadLen + len(local) + len(rest))
	rec := record(r)
	rec.setNext(d.names[h])
	binary.LittleEndian.PutUint32(r[4:], dom.number)
	binary.LittleEndian.PutUint32(r[8:], uint32(account))
	binary.LittleEndian.PutUint16(r[12:], uint16(len(local)))
	copy(r[recordHeadLen:], local)
	copy(r[recordHeadLen+len(local):], rest)
	d.names[h] = ref
	dom.addresses++
	if account == 0 {
		return
	}
	for int(account) >= len(d.accounts) {
		d.accounts = append(d.accounts, 0)
	}
	d.accounts[account] = ref
	d.count(rec, 1)
}

// count adds n to the proofs that the account of a record has, and to the accounts with its
// Expire. Call it with mu held.
func (d *directory) count(r record, n int) {
	d.expires.count(r.expire(), n)
	hash, secret := r.credentials()
	switch {
	case storage.HasVerifier(hash):
		d.proofs.Verifiers += n
	case len(hash) > 0 && r.access() == storage.FullAccess:
		d.proofs.Without += n
	}
	if len(secret) > 0 {
		d.proofs.Secrets += n
	}
}

// remove takes the record of a name out of its chain. Call it with mu held.
func (d *directory) remove(local, domain string) {
	ref := d.find(local, domain)
	if ref == 0 {
		return
	}
	gone := d.at(ref)
	h := d.hash(local, domain)
	if first := d.names[h]; first != ref {
		prev := first
		for d.at(prev).next() != ref {
			prev = d.at(prev).next()
		}
		d.at(prev).setNext(gone.next())
	} else if gone.next() != 0 {
		d.names[h] = gone.next()
	} else {
		delete(d.names, h)
	}
	if a := gone.account(); a != 0 {
		d.accounts[a] = 0
		delete(d.full, storage.AccountID(a))
		d.count(gone, -1)
	}
	d.domains[domain].addresses--
	d.arena.waste(ref, d.lengthOf(gone))
	d.tidy()
}

// restOf is the octets of a record after its name.
func (d *directory) restOf(r record) []byte {
	rest := r.rest()
	n := targetsAt(r)
	return rest[:n+4+int(binary.LittleEndian.Uint32(rest[n:]))]
}

// targetsAt is where in the rest of a record its targets begin.
func targetsAt(r record) int {
	if r.account() == 0 {
		return 0
	}
	rest, n := r.rest(), accountFixed
	n += 2 + int(binary.LittleEndian.Uint16(rest[n:]))
	return n + 2 + int(binary.LittleEndian.Uint16(rest[n:]))
}

// setTargets sets the targets of the alias with a name; none: the name is no alias. Call
// it with mu held.
func (d *directory) setTargets(local, domain string, targets []string) {
	ref := d.find(local, domain)
	var account storage.Account
	if ref != 0 && d.at(ref).account() != 0 {
		account = d.accountOf(d.at(ref))
	}
	d.remove(local, domain)
	switch {
	case account.ID != 0:
		d.insert(local, domain, account.ID, accountRest(&account, targets))
	case len(targets) > 0:
		d.insert(local, domain, 0, targetsRest(targets))
	}
}

// tidy moves the records that live out of a block in which most octets are wasted: of one
// block a change, so that no change takes long. Call it with mu held.
func (d *directory) tidy() {
	block, ok := d.arena.wasteful()
	if !ok {
		return
	}
	for at, end := d.arena.start(block), d.arena.ends[block]; at < end; {
		ref := d.arena.ref(block, at)
		r := d.at(ref)
		n := d.lengthOf(r)
		if link := d.linkTo(ref, r); link != nil {
			moved, to := d.arena.take(n)
			copy(to, r[:n])
			link(moved)
			if account := r.account(); account != 0 {
				d.accounts[account] = moved
			}
		}
		at += roomFor(n)
	}
	d.arena.empty(block)
}

// lengthOf is the octets of a record.
func (d *directory) lengthOf(r record) int {
	return recordHeadLen + len(r.name()) + len(d.restOf(r))
}

// linkTo returns what makes the chain of a record lead to another place instead; nil: the
// record is in no chain any more.
func (d *directory) linkTo(ref uint32, r record) func(ref uint32) {
	h := d.hash(string(r.name()), d.numbered[r.domain()].name)
	at := d.names[h]
	if at == ref {
		return func(moved uint32) { d.names[h] = moved }
	}
	for ; at != 0; at = d.at(at).next() {
		if prev := d.at(at); prev.next() == ref {
			return prev.setNext
		}
	}
	return nil
}

// addDomain makes the domain known. Call it with mu held.
func (d *directory) addDomain(name string) {
	dom := &domain{name: name, number: uint32(len(d.numbered))}
	d.numbered = append(d.numbered, dom)
	d.domains[name] = dom
}

// accountRest is the octets of an account's record after its name.
func accountRest(a *storage.Account, targets []string) []byte {
	b := make([]byte, 0, accountFixed+8+len(a.Hash)+len(a.Secret))
	b = binary.LittleEndian.AppendUint64(b, uint64(a.Quota))
	b = binary.LittleEndian.AppendUint64(b, uint64(a.Created.UnixMilli()))
	b = binary.LittleEndian.AppendUint64(b, uint64(a.MaxMessages))
	b = binary.LittleEndian.AppendUint64(b, uint64(millisOf(a.LastLogin)))
	b = binary.LittleEndian.AppendUint64(b, uint64(a.Expire)) //nolint:gosec // read back as it is
	b = append(b, byte(a.Access))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(a.Hash)))
	b = append(b, a.Hash...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(a.Secret)))
	b = append(b, a.Secret...)
	return append(b, targetsRest(targets)...)
}

// targetsRest is the octets of targets in a record.
func targetsRest(targets []string) []byte {
	b := make([]byte, 4)
	for _, t := range targets {
		b = append(b, t...)
		b = append(b, 0)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// accountOf copies an account out of its record. Call it with mu held.
func (d *directory) accountOf(r record) storage.Account {
	hash, secret := r.credentials()
	return storage.Account{
		ID:          storage.AccountID(r.account()),
		Name:        string(r.name()),
		Domain:      d.numbered[r.domain()].name,
		Hash:        string(hash),
		Secret:      string(secret),
		Quota:       r.quota(),
		MaxMessages: r.maxMessages(),
		Access:      r.access(),
		Expire:      r.expire(),
		Created:     time.UnixMilli(r.number(1)),
		LastLogin:   timeOf(r.number(3)),
	}
}

// millisOf is a time in milliseconds; 0: the zero time.
func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// timeOf is what millisOf was made from.
func timeOf(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n)
}

// credentials are the hash and the secret of an account's record.
func (r record) credentials() (hash, secret []byte) {
	rest := r.rest()
	hash = rest[accountFixed+2:][:binary.LittleEndian.Uint16(rest[accountFixed:])]
	secret = rest[accountFixed+2+len(hash):]
	return hash, secret[2:][:binary.LittleEndian.Uint16(secret)]
}

// targetsOf copies the targets out of a record; nil: none.
func targetsOf(r record) []string {
	rest := r.rest()[targetsAt(r):]
	return splitTargets(rest[4:][:binary.LittleEndian.Uint32(rest)])
}

// recordOf is the record of an account, or nil. Call it with mu held.
func (d *directory) recordOf(id storage.AccountID) record {
	if int(id) >= len(d.accounts) || d.accounts[id] == 0 {
		return nil
	}
	return d.at(d.accounts[id])
}

// has reports whether there is such an account.
func (d *directory) has(id storage.AccountID) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.recordOf(id) != nil
}

// quotasOf are the quota of an account, and the name, the use and the quota of its domain,
// if that has one; not ok: there is no such account.
func (d *directory) quotasOf(id storage.AccountID) (own storage.Quota, of *domain, ok bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r := d.recordOf(id)
	if r == nil {
		return own, nil, false
	}
	own = storage.Quota{Octets: r.quota(), Messages: r.maxMessages()}
	if d.quotas > 0 {
		if of = d.numbered[r.domain()]; of.quota == (storage.Quota{}) {
			of = nil
		}
	}
	return own, of, true
}
