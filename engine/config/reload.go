package config

import "slices"

// Change is a key whose value is another one in a new configuration.
type Change struct {
	Key      string
	Old, New string // as TOML
	Restart  bool   // the key keeps its value until a restart
}

// Changes are the keys that have other values in next than in was, in the order of the
// manual.
func Changes(was, next *Config) (all []Change) {
	for i, k := range next.keys {
		if before := was.keys[i]; before.Value() != k.Value() {
			all = append(all, Change{Key: k.Name, Old: before.Value(), New: k.Value(), Restart: k.restart})
		}
	}
	return all
}

// Clone returns a copy, which may be changed without changing c.
func (c *Config) Clone() *Config {
	n := Default()
	n.file, n.Process = c.file, c.Process
	for i, k := range n.keys {
		k.value.copy(c.keys[i].value)
		k.line = c.keys[i].line
	}
	return n
}

// Take takes the value of a key from another Config.
func (c *Config) Take(from *Config, name string) {
	k, other := c.Key(name), from.Key(name)
	k.value.copy(other.value)
	k.line = other.line
}

// KeepAddresses puts, into each list of addresses of c that is another one than in was, the
// addresses that running has bound, where an address is in both: a port that was picked for
// port 0 stays.
func (c *Config) KeepAddresses(was, running *Config) {
	before, bound := was.Listeners(), running.Listeners()
	for n, l := range c.Listeners() {
		old, at := before[n].Addrs, bound[n].Addrs
		if len(old) != len(at) {
			continue
		}
		addrs, used := slices.Clone(l.Addrs), make([]bool, len(old))
		for i, addr := range addrs {
			for j := range old {
				if old[j] == addr && !used[j] {
					addrs[i], used[j] = at[j], true
					break
				}
			}
		}
		l.Set(addrs)
	}
}
