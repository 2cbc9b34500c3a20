package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"postrider/codec/address"
	"postrider/storage"
)

// folding brings the directory of an earlier program into the form of package
// codec/address, in one synced batch before it is loaded: domains with U-labels become
// A-labels, names with decomposed letters NFC. Accounts keep their ids, and with them
// their mail and passwords; targets of aliases are folded when they are read.
//
// Names that were two may be one now. Two aliases become one, with the targets of both.
// An account or alias with a name that is taken gets the next free name, "info.2" for
// "info": the commands can find it, and it is logged.
type folding struct {
	s     *Store
	b     *pebble.Batch
	taken map[string]addressValue // by key: what the batch has put there
	odd   []oddName
}

// oddName is an A row with a name that is not folded.
type oddName struct {
	key           []byte
	local, domain string
	addressValue
}

// foldDirectory folds what is not folded yet. A directory that is costs one pass over
// the names.
func (s *Store) foldDirectory() error {
	f := &folding{s: s, b: s.db.NewBatch(), taken: make(map[string]addressValue)}
	defer f.b.Close()
	if err := f.domains(); err != nil {
		return err
	}
	err := s.addresses(func(local, domain string, v addressValue) (bool, error) {
		if address.FoldLocal(local) != local || address.FoldDomain(domain) != domain {
			f.odd = append(f.odd, oddName{addressKey(local, domain), local, domain, v})
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for i := range f.odd {
		if err := f.move(&f.odd[i]); err != nil {
			return err
		}
	}
	if f.b.Empty() {
		return nil
	}
	s.opts.Log.Info("names in the directory were normalized: domains with A-labels, letters composed", "names", len(f.odd))
	return s.db.Apply(f.b, pebble.Sync)
}

// domains folds the D rows.
func (f *folding) domains() error {
	return scan(f.s.db, []byte{tagDomain}, func(k, v []byte) (bool, error) {
		domain := string(k[1:])
		if folded := address.FoldDomain(domain); folded != domain {
			_ = f.b.Delete(bytes.Clone(k), nil)
			_ = f.b.Set(domainKey(folded), bytes.Clone(v), nil)
		}
		return true, nil
	})
}

// move gives an address its folded name, or the next that is free.
func (f *folding) move(o *oddName) error {
	local, domain := address.FoldLocal(o.local), address.FoldDomain(o.domain)
	there, taken, err := f.at(local, domain)
	if err != nil {
		return err
	}
	if taken && o.account == 0 && there.account == 0 {
		for _, t := range o.targets {
			if !slices.Contains(there.targets, t) {
				there.targets = append(there.targets, t)
			}
		}
		f.s.opts.Log.Warn("two aliases have one name now: they were merged, with the targets of both", "alias", local+"@"+domain, "was", o.local+"@"+o.domain)
		f.put(o, local, domain, there)
		return nil
	}
	name := local
	for n := 2; taken; n++ {
		name = fmt.Sprintf("%s.%d", local, n)
		if _, taken, err = f.at(name, domain); err != nil {
			return err
		}
	}
	if name != local {
		f.s.opts.Log.Warn("two names in the directory are one address now: the second was renamed; move its mail, or inform its owner",
			"address", local+"@"+domain, "second", o.local+"@"+o.domain, "name", name+"@"+domain)
	}
	if o.account != 0 {
		if err := f.rename(o.account, name, domain); err != nil {
			return err
		}
	}
	f.put(o, name, domain, o.addressValue)
	return nil
}

// at is what is stored under a name, after all that was moved.
func (f *folding) at(local, domain string) (v addressValue, there bool, err error) {
	key := addressKey(local, domain)
	if v, there = f.taken[string(key)]; there {
		return v, true, nil
	}
	row, closer, err := f.s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return v, false, nil
	}
	if err != nil {
		return v, false, readError(err)
	}
	defer closer.Close()
	v, err = parseAddress(row)
	return v, true, err
}

// put moves an A row.
func (f *folding) put(o *oddName, local, domain string, v addressValue) {
	_ = f.b.Delete(o.key, nil)
	setAddress(f.b, local, domain, v)
	f.taken[string(addressKey(local, domain))] = v
}

// rename gives an account its name.
func (f *folding) rename(id storage.AccountID, local, domain string) error {
	var k [accountKeyLen]byte
	row, closer, err := f.s.db.Get(putAccountKey(&k, tagAccount, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil // Check reports it
	}
	if err != nil {
		return readError(err)
	}
	a, err := parseAccount(id, row)
	if err = errors.Join(err, closer.Close()); err != nil {
		return err
	}
	a.Name, a.Domain = local, domain
	setAccount(f.b, &a)
	return nil
}
