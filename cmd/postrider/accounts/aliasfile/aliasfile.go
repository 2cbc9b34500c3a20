// Package aliasfile reads files of aliases in the form of /etc/aliases, the one that
// sendmail and Postfix read (aliases(5)):
//
//	name: target, target
//	        , target that continues the line before
//	"two words": \name    # a comment
//
// A line that begins with a blank continues the one before, # begins a comment, and
// neither a comma, a colon nor # counts between quotes. Targets are addresses, here or
// elsewhere. Targets that this server does not support are left out, and reported to the
// caller: commands ("|cmd"), files (/file), and ":include:". So are an alias without other
// targets, a second one with the same name, and one that would take an account's mail.
//
// If lines can't be read, the error lists every wrong line, and there are no aliases. A
// line has at most 1 MiB.
package aliasfile

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"postrider/cmd/postrider/accounts/lines"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/storage"
)

// maxLine bounds a line.
const maxLine = 1 << 20

// Directory parses addresses and knows the accounts.
type Directory interface {
	// Alias reads the name of an alias.
	Alias(name string) (storage.Alias, error)
	// Target reads an address that mail is sent on to.
	Target(text string) (string, error)
	// TakesMail reports whether the alias would take the mail of an account.
	TakesMail(storage.Alias) bool
}

// An entry is one entry of the file.
type entry struct {
	line  int
	text  string   // its lines joined, once all are read
	lines []string // lists have thousands
}

// Read reads the file in, called from in errors. skipped is what is left out, by line.
func Read(in io.Reader, from string, d Directory) (aliases []storage.Alias, skipped []error, err error) {
	entries, err := readEntries(in, from)
	if err != nil {
		return nil, nil, err
	}
	r := reading{d, lines.Faults{From: from}, lines.Faults{From: from}}
	at := make(map[[2]string]int)
	for _, e := range entries {
		i := indexOutside(e.text, ':')
		if i < 0 {
			r.wrong.Add(e.line, "no colon: expected name: target, target")
			continue
		}
		a, err := d.Alias(e.text[:i])
		if err != nil {
			r.wrong.Add(e.line, "%v", err)
			continue
		}
		key := [2]string{a.Name, a.Domain}
		if first, ok := at[key]; ok {
			r.skipped.Add(e.line, "%s is in line %d already", workspace.AliasName(a), first)
			continue
		}
		at[key] = e.line
		if r.fill(&a, e, i+1) {
			aliases = append(aliases, a)
		}
	}
	if err := r.wrong.Err(); err != nil {
		return nil, nil, err
	}
	return aliases, r.skipped.Errs, nil
}

// readEntries joins continued lines and drops comments.
func readEntries(in io.Reader, from string) ([]entry, error) {
	var entries []entry
	wrong := lines.Faults{From: from}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	n := 0
	for scanner.Scan() {
		n++
		text := dropComment(strings.TrimRight(scanner.Text(), "\r"))
		switch {
		case strings.TrimSpace(text) == "":
		case text[0] != ' ' && text[0] != '\t':
			entries = append(entries, entry{line: n, lines: []string{text}})
		case len(entries) == 0:
			return nil, sysexits.DataErr.With(fmt.Errorf("%s:%d: the line begins with a blank, and there is no line to continue: nothing was added", from, n))
		default:
			last := &entries[len(entries)-1]
			last.lines = append(last.lines, text)
		}
	}
	if err := wrong.Stopped(n, scanner.Err()); err != nil {
		return nil, err
	}
	for i := range entries {
		e := &entries[i]
		e.text, e.lines = strings.Join(e.lines, ""), nil
	}
	return entries, nil
}

// dropComment cuts a line at a # that is not between quotes.
func dropComment(text string) string {
	if i := indexOutside(text, '#'); i >= 0 {
		return text[:i]
	}
	return text
}

// indexOutside is the index of the first c that is not between quotes; -1 for none.
func indexOutside(text string, c byte) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == c && !quoted:
			return i
		}
	}
	return -1
}

// splitTargets splits at the commas that are not between quotes.
func splitTargets(text string) []string {
	var targets []string
	for {
		i := indexOutside(text, ',')
		one := text
		if i >= 0 {
			one = text[:i]
		}
		if one = strings.TrimSpace(one); one != "" {
			targets = append(targets, one)
		}
		if i < 0 {
			return targets
		}
		text = text[i+1:]
	}
}

// reading is a file that is being read.
type reading struct {
	directory      Directory
	wrong, skipped lines.Faults
}

// fill adds the targets of an entry, which begin in its text at from, and reports
// whether the alias can be made.
func (r *reading) fill(a *storage.Alias, e entry, from int) bool {
	met := make(map[string]bool)
	for _, text := range splitTargets(e.text[from:]) {
		if why := notAnAddress(text); why != "" {
			r.skipped.Add(e.line, "%s: %s (%s)", workspace.AliasName(*a), text, why)
			continue
		}
		target, err := r.directory.Target(text)
		switch {
		case err != nil:
			r.wrong.Add(e.line, "%v", err)
		case !met[target]:
			met[target] = true
			a.Targets = append(a.Targets, target)
		}
	}
	if len(a.Targets) == 0 {
		r.skipped.Add(e.line, "%s: no targets are left", workspace.AliasName(*a))
		return false
	}
	if r.directory.TakesMail(*a) {
		r.skipped.Add(e.line, "%s: the name is an account's, and the account is not among the targets", workspace.AliasName(*a))
		return false
	}
	return true
}

// notAnAddress says why a target is not an address, or "".
func notAnAddress(text string) string {
	bare := strings.TrimPrefix(text, `"`)
	switch {
	case strings.HasPrefix(bare, "|"):
		return "a command: mail is not piped to programs"
	case strings.HasPrefix(bare, "/"):
		return "a file: mail is delivered to the store only"
	case strings.HasPrefix(strings.ToLower(bare), ":include:"):
		return "a list in a file: put its addresses here"
	}
	return ""
}
