package config

import (
	"strings"
)

// Key is one thing that can be set. It is a flag's value as well (the methods
// String, Set and Type implement pflag.Value).
type Key struct {
	Name string // "smtp.max_size"
	Help string // whole sentences
	RFC  string // where an RFC asks for a minimum: its section and words; or ""
	Flag string // flag of serve, without dashes; or ""

	value   value
	initial string // the default, as TOML
	line    int    // where the file sets it; 0: the file does not
	restart bool   // a running server can't change it
}

// value is the field after a key.
type value interface {
	// set takes what TOML has: string, int64, float64, bool, []any, or other.
	set(raw any) error
	// parse takes the argument of a flag.
	parse(text string) error
	// String is the value as TOML.
	String() string
	// kind is the type in a word: "size", "list".
	kind() string
	// allowed describes what can be set.
	allowed() string
	// copy takes the value of the same key of another Config.
	copy(from value)
}

func (k *Key) help(text string) *Key { k.Help = text; return k }
func (k *Key) rfc(text string) *Key  { k.RFC = text; return k }
func (k *Key) flag(name string) *Key { k.Flag = name; return k }

// atStart marks a key that counts when the server starts. All other keys apply on reload:
// package server hands their values to the rooms that have them.
func (k *Key) atStart() *Key { k.restart = true; return k }

// Group and Base are the two halves of the name.
func (k *Key) Group() string { return k.Name[:strings.IndexByte(k.Name, '.')] }

// Base: see Group.
func (k *Key) Base() string { return k.Name[strings.IndexByte(k.Name, '.')+1:] }

// Value is the value as TOML has it, Default the value of a key that is not set.
func (k *Key) Value() string { return k.value.String() }

// Default: see Value.
func (k *Key) Default() string { return k.initial }

// NeedsRestart reports whether a running server keeps the value that it has, until it is
// started again.
func (k *Key) NeedsRestart() bool { return k.restart }

// Line is the line of the file that sets the key; 0: the file does not set it.
func (k *Key) Line() int { return k.line }

// Changed reports whether the value is another than the default.
func (k *Key) Changed() bool { return k.Value() != k.initial }

// Allowed describes what can be set.
func (k *Key) Allowed() string { return k.value.allowed() }

// String is Value, for flags.
func (k *Key) String() string {
	if k.value == nil {
		return ""
	}
	return k.value.String()
}

// Type is the type in a word, for the help of flags.
func (k *Key) Type() string { return k.value.kind() }

// Set takes the argument of a flag; a list grows with each, and the first
// replaces the value of the file.
func (k *Key) Set(text string) error { return k.value.parse(text) }

// Keys returns the keys, bound to c, in the order of the manual.
func (c *Config) Keys() []*Key { return c.keys }

// Key returns the key with that name, or nil.
func (c *Config) Key(name string) *Key {
	for _, k := range c.keys {
		if k.Name == name {
			return k
		}
	}
	return nil
}
