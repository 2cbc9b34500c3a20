package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

func (c *Config) hasGroup(name string) bool {
	return slices.ContainsFunc(c.keys, func(k *Key) bool { return k.Group() == name })
}

func (c *Config) hasAnyGroup(groups map[string]toml.Primitive) bool {
	for name := range groups {
		if c.hasGroup(name) {
			return true
		}
	}
	return len(groups) == 0
}

// noSuchGroup is the error for a table, or a key without a table, that is unknown.
func (c *Config) noSuchGroup(name string) error {
	var groups []string
	for _, k := range c.keys {
		if g := k.Group(); !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	if in := c.groupsWith(name); len(in) > 0 {
		return fmt.Errorf("a key needs its group: write it below the line [%s]", strings.Join(in, "] or ["))
	}
	if near := Nearest(name, groups); near != "" {
		return fmt.Errorf("no such group; did you mean [%s]?", near)
	}
	return fmt.Errorf("no such group; known groups: [%s]", strings.Join(groups, "] ["))
}

// noSuchKey is the error for a key that is unknown in its group.
func (c *Config) noSuchKey(name string) error {
	if err := retiredKey(name); err != nil {
		return err
	}
	group, base, _ := strings.Cut(name, ".")
	var bases []string
	for _, k := range c.keys {
		if k.Group() == group {
			bases = append(bases, k.Base())
		}
	}
	if near := Nearest(base, bases); near != "" {
		return fmt.Errorf("no such key; did you mean %s?", near)
	}
	if in := c.groupsWith(base); len(in) > 0 {
		return fmt.Errorf("no such key; did you mean %s.%s? It belongs below the line [%s]", in[0], base, in[0])
	}
	return fmt.Errorf("no such key; [%s] has %s", group, strings.Join(bases, ", "))
}

// groupsWith are the groups that have a key of this name.
func (c *Config) groupsWith(base string) (groups []string) {
	for _, k := range c.keys {
		if k.Base() == base {
			groups = append(groups, k.Group())
		}
	}
	return groups
}

// Nearest returns the word of known that was probably meant by word, or "".
func Nearest(word string, known []string) (near string) {
	word = strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	best := max(1, len(word)/3) + 1
	for _, k := range known {
		other := strings.ToLower(strings.ReplaceAll(k, "-", "_"))
		if len(word) > 2 && strings.HasPrefix(other, word) {
			return k
		}
		if d := distance(word, other); d < best {
			near, best = k, d
		}
	}
	return near
}

// distance is the number of letters to insert, delete, replace or swap with their
// neighbour that make b of a (the optimal string alignment distance).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
