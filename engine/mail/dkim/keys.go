package dkim

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"postrider/codec/address"
	"postrider/engine/host/perms"
)

// Keys are the keys of a directory. Any goroutine may use them, also while they are
// read again.
type Keys struct {
	dir    string
	held   atomic.Pointer[map[string][]*Key] // the keys that sign, by domain
	tokens chan struct{}                     // one for each signature that is computed at once
}

// Open reads the keys in dir; a directory that does not exist has none.
func Open(dir string) (*Keys, error) {
	k := &Keys{dir: dir, tokens: make(chan struct{}, max(1, runtime.NumCPU()/2))}
	return k, k.Reload()
}

// Reload reads the directory again. After an error all is as it was.
func (k *Keys) Reload() error {
	all, err := List(k.dir)
	if err != nil {
		return err
	}
	held := make(map[string][]*Key)
	for _, key := range Active(all) {
		held[key.Domain] = append(held[key.Domain], key)
	}
	k.held.Store(&held)
	return nil
}

// List reads all keys in dir, by domain, kind and selector.
func List(dir string) ([]*Key, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err = errors.Join(err, perms.Directory(dir)); err != nil {
		return nil, err
	}
	var all []*Key
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		key, err := read(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	slices.SortFunc(all, func(a, b *Key) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(b.Algorithm(), a.Algorithm()), cmp.Compare(a.Selector, b.Selector))
	})
	return all, nil
}

// Active returns the keys of all, as List has them, that sign: the first of each kind.
func Active(all []*Key) (first []*Key) {
	for i, key := range all {
		if i == 0 || key.Domain != all[i-1].Domain || key.Algorithm() != all[i-1].Algorithm() {
			first = append(first, key)
		}
	}
	return first
}

// None reports whether no domain's mail is signed.
func (k *Keys) None() bool { return len(*k.held.Load()) == 0 }

// For returns the keys that sign mail of a domain, folded: its own, or the keys
// of the nearest domain above it. None: mail of the domain is not signed.
func (k *Keys) For(domain string) []*Key {
	held := *k.held.Load()
	for len(held) > 0 && domain != "" {
		if keys := held[domain]; keys != nil {
			return keys
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return nil
}

// Author are the keys that sign mail of an address, such as message.Address gives.
func (k *Keys) Author(author string) []*Key {
	return k.For(address.FoldDomain(author[strings.LastIndexByte(author, '@')+1:]))
}
