package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Pattern is where the Maildirs of a tree are below its root, as "%d/%n/Maildir".
type Pattern struct {
	parts []patternPart
	text  string
}

// patternPart is one name of the path.
type patternPart struct {
	name   string         // without variables
	match  *regexp.Regexp // with variables
	values []byte         // what each group of match is: 'n', 'd', 'u', or '1' for the first octet of n
}

// ParsePattern reads a pattern: names of folders with "/" between them. %n is the local part
// of the account's address, %d its domain, %u the whole of it, %1n the first octet of the
// local part, and * is anything.
func ParsePattern(s string) (*Pattern, error) {
	p := &Pattern{text: s}
	named := false
	for name := range strings.SplitSeq(strings.Trim(s, "/"), "/") {
		if name == "" || name == "." || name == ".." {
			return nil, fmt.Errorf("the pattern %q has a name that is empty, \".\" or \"..\"", s)
		}
		part, err := parsePart(name)
		if err != nil {
			return nil, fmt.Errorf("the pattern %q: %w", s, err)
		}
		named = named || strings.ContainsAny(string(part.values), "nu")
		p.parts = append(p.parts, part)
	}
	if !named {
		return nil, fmt.Errorf("the pattern %q has neither %%n nor %%u: which account is a folder's?", s)
	}
	return p, nil
}

// String is the pattern as it was read.
func (p *Pattern) String() string { return p.text }

func parsePart(name string) (part patternPart, err error) {
	part.name = name
	var match strings.Builder
	match.WriteString("^")
	for rest := name; rest != ""; {
		i := strings.IndexAny(rest, "%*")
		if i < 0 {
			i = len(rest)
		}
		match.WriteString(regexp.QuoteMeta(rest[:i]))
		if rest = rest[i:]; rest == "" {
			break
		}
		var group string
		var value byte
		for _, v := range patternVariables {
			if after, ok := strings.CutPrefix(rest, v.name); ok {
				rest, group, value = after, v.group, v.value
				break
			}
		}
		if group == "" {
			return part, fmt.Errorf("%.3q is not known; known are %%n, %%d, %%u, %%1n and *", rest)
		}
		match.WriteString(group)
		if value != 0 {
			part.values = append(part.values, value)
		}
		part.match = new(regexp.Regexp)
	}
	if part.match != nil {
		match.WriteString("$")
		part.match, err = regexp.Compile(match.String())
	}
	return part, err
}

var patternVariables = []struct {
	name, group string
	value       byte
}{
	{"%n", "([^@]+)", 'n'}, {"%d", "([^@]+)", 'd'}, {"%u", "(.+)", 'u'}, {"%1n", "(.)", '1'}, {"*", ".*", 0},
}

// Mailbox is a Maildir of a tree.
type Mailbox struct {
	Path   string // below the root
	Name   string // local part of the address
	Domain string // "": the default one
	first  string // what %1n was
}

// String is the address.
func (m Mailbox) String() string {
	if m.Domain == "" {
		return m.Name
	}
	return m.Name + "@" + m.Domain
}

// set takes what a variable is; false: it was something else before.
func (m *Mailbox) set(variable byte, value string) bool {
	to := &m.Name
	switch variable {
	case 'd':
		to = &m.Domain
	case '1':
		to = &m.first
	case 'u':
		if i := strings.LastIndexByte(value, '@'); i >= 0 {
			return m.set('n', value[:i]) && m.set('d', value[i+1:])
		}
	}
	if *to != "" && *to != value {
		return false
	}
	*to = value
	return true
}

// in is m with what a folder's name says; ok: the name fits.
func (m Mailbox) in(part *patternPart, name string) (_ Mailbox, ok bool) {
	m.Path = filepath.Join(m.Path, name)
	groups := part.match.FindStringSubmatch(name)
	if groups == nil {
		return m, false
	}
	for i, v := range part.values {
		if !m.set(v, groups[i+1]) {
			return m, false
		}
	}
	return m, m.first == "" || m.Name == "" || strings.HasPrefix(m.Name, m.first)
}

// walk finds the Maildirs below root, by the names of their folders, and calls f for each.
// What is there and is none is passed over and reported.
func (p *Pattern) walk(root string, r *report, f func(Mailbox) error) error {
	if _, err := os.ReadDir(root); err != nil {
		return err
	}
	return p.find(root, Mailbox{}, p.parts, r, f)
}

func (p *Pattern) find(root string, at Mailbox, parts []patternPart, r *report, f func(Mailbox) error) error {
	if len(parts) == 0 {
		return foundMailbox(root, at, r, f)
	}
	part := &parts[0]
	if part.match == nil {
		at.Path = filepath.Join(at.Path, part.name)
		return p.find(root, at, parts[1:], r, f)
	}
	list, err := os.ReadDir(filepath.Join(root, at.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.add(noMaildirs, at.Path)
		return nil
	case err != nil && at.Path != "" && !errors.Is(err, fs.ErrPermission):
		r.add(others, at.Path)
		return nil
	case err != nil:
		return err
	}
	for _, e := range list {
		next, ok := at.in(part, e.Name())
		hidden := e.Name()[0] == '.' && part.name[0] != '.'
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			r.add(links, next.Path)
		case !ok || hidden || !e.IsDir():
			r.add(unlike, next.Path)
		default:
			if err := p.find(root, next, parts[1:], r, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// foundMailbox calls f if there is a Maildir.
func foundMailbox(root string, m Mailbox, r *report, f func(Mailbox) error) error {
	for _, folder := range []string{"cur", "new"} {
		info, err := os.Stat(filepath.Join(root, m.Path, folder))
		switch {
		case err == nil && info.IsDir():
			return f(m)
		case errors.Is(err, fs.ErrPermission):
			return err
		}
	}
	r.add(noMaildirs, m.Path)
	return nil
}
