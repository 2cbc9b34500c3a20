package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteChanged writes the keys that differ from their defaults, as TOML.
func (c *Config) WriteChanged(w io.Writer) error {
	var b strings.Builder
	group := ""
	for _, k := range c.keys {
		if !k.Changed() {
			continue
		}
		if k.Group() != group {
			separate(&b, k.Group())
			group = k.Group()
		}
		fmt.Fprintf(&b, "%s = %s\n", k.Base(), k.Value())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteDefaults writes every key with its help, commented out, as a file to
// begin with.
func (c *Config) WriteDefaults(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# The configuration of postrider: every key with its default.\n")
	group := ""
	for _, k := range c.keys {
		if k.Group() != group {
			separate(&b, k.Group())
			group = k.Group()
		}
		fmt.Fprintf(&b, "\n%s# Allowed: %s.", comment(k.Help), k.Allowed())
		if k.RFC != "" {
			fmt.Fprintf(&b, " %s.", k.RFC)
		}
		if k.Flag != "" {
			fmt.Fprintf(&b, " Flag: --%s.", k.Flag)
		}
		if k.NeedsRestart() {
			b.WriteString(" A change needs a restart.")
		}
		fmt.Fprintf(&b, "\n# %s = %s\n", k.Base(), k.Default())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func separate(b *strings.Builder, group string) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(b, "[%s]\n", group)
}

// comment wraps text into comment lines of at most 78 columns.
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 78 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}
