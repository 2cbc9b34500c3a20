package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"postrider/storage"
)

func aliasImport() *cobra.Command {
	var t target
	return t.flags(&cobra.Command{
		Use:   "import FILE|-",
		Short: "Make aliases from a file in the form of /etc/aliases",
		Long: `Make aliases from lines "name: target, target". Lines that begin with a blank
continue the one before; # begins a comment. Commands ("|cmd"), files (/file),
and ":include:" are skipped and named with their line; so is an alias of which
nothing is left, a second one of the same name, and one whose name is an account,
unless it names the account too, to keep a copy ("bob: \bob, bob@example.net"). All
aliases are made in one step; if a line can't be read none is made. Warnings tell of
addresses that do not exist, and of aliases that lead in a circle.`,
		Example: "  postrider alias import /etc/aliases",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.importAliases(cmd, args[0])
		},
	})
}

// importAliases makes the aliases of a file; "-" is the standard input.
func (t *target) importAliases(cmd *cobra.Command, path string) error {
	return t.with(cmd.Context(), create, func(d *desk) error {
		in, err := openInput(cmd, path)
		if err != nil {
			return err
		}
		defer in.Close()
		aliases, skipped, err := d.readAliases(in, path)
		if err != nil {
			return err
		}
		if err := d.setAliases(aliases); err != nil {
			return fmt.Errorf("nothing was added: %w", err)
		}
		for _, s := range skipped {
			fmt.Fprintf(cmd.ErrOrStderr(), "skipped: %v\n", s)
		}
		all, err := d.roster()
		if err != nil {
			return err
		}
		for _, a := range aliases {
			warn(cmd, deadWords(a, all.router.Dead(a)))
		}
		fmt.Fprintf(cmd.OutOrStdout(), "added %d aliases\n", len(aliases))
		return nil
	})
}

// aliasEntry is one entry of the file.
type aliasEntry struct {
	line  int
	text  string   // its lines joined, once all are read
	lines []string // lists have thousands
}

// readAliasEntries joins continued lines and drops comments.
func readAliasEntries(in io.Reader, from string) ([]aliasEntry, error) {
	var entries []aliasEntry
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		n++
		text := dropComment(strings.TrimRight(lines.Text(), "\r"))
		switch {
		case strings.TrimSpace(text) == "":
		case text[0] != ' ' && text[0] != '\t':
			entries = append(entries, aliasEntry{line: n, lines: []string{text}})
		case len(entries) == 0:
			return nil, exit(exDataErr, fmt.Errorf("%s:%d: the line continues nothing: nothing was added", from, n))
		default:
			last := &entries[len(entries)-1]
			last.lines = append(last.lines, text)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, exit(exIO, fmt.Errorf("%s:%d: %w: nothing was added", from, n+1, err))
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

// readAliases reads the file. skipped is what is left out, by line; the error
// joins what can't be read.
func (d *desk) readAliases(in io.Reader, from string) (aliases []storage.Alias, skipped []error, err error) {
	entries, err := readAliasEntries(in, from)
	if err != nil {
		return nil, nil, err
	}
	wrong, left := faults{from: from}, faults{from: from}
	at := make(map[[2]string]int)
	for _, e := range entries {
		i := indexOutside(e.text, ':')
		if i < 0 {
			wrong.add(e.line, "no colon: name: target, target is wanted")
			continue
		}
		a, err := d.newAlias(e.text[:i], nil)
		if err != nil {
			wrong.add(e.line, "%v", err)
			continue
		}
		key := [2]string{a.Name, a.Domain}
		if first, twice := at[key]; twice {
			left.add(e.line, "%s is in line %d already", aliasName(a), first)
			continue
		}
		at[key] = e.line
		if d.fillAlias(&a, e, i+1, &wrong, &left) {
			aliases = append(aliases, a)
		}
	}
	if len(wrong.errs) > 0 {
		return nil, nil, exit(exDataErr, errors.Join(append(wrong.errs, errors.New("nothing was added"))...))
	}
	return aliases, left.errs, nil
}

// fillAlias adds the targets of an entry and says whether the alias can be made.
func (d *desk) fillAlias(a *storage.Alias, e aliasEntry, from int, wrong, left *faults) bool {
	met := make(map[string]bool)
	for _, text := range splitTargets(e.text[from:]) {
		if why := notAnAddress(text); why != "" {
			left.add(e.line, "%s: %s (%s)", aliasName(*a), text, why)
			continue
		}
		target, err := d.aliasTarget(text)
		switch {
		case err != nil:
			wrong.add(e.line, "%v", err)
		case !met[target]:
			met[target] = true
			a.Targets = append(a.Targets, target)
		}
	}
	if len(a.Targets) == 0 {
		left.add(e.line, "%s: no target is left", aliasName(*a))
		return false
	}
	found, err := d.Lookup(a.Name, a.Domain)
	if err == nil && found.Account != 0 && !a.NamesItself() && !d.isStandIn(found.Account) {
		left.add(e.line, "%s: an account has the name, and is not among the targets", aliasName(*a))
		return false
	}
	return true
}

// notAnAddress says what a target is that is no address, or "".
func notAnAddress(text string) string {
	bare := strings.TrimPrefix(text, `"`)
	switch {
	case strings.HasPrefix(bare, "|"):
		return "a command: mail is not handed to programs"
	case strings.HasPrefix(bare, "/"):
		return "a file: mail is kept in the store only"
	case strings.HasPrefix(strings.ToLower(bare), ":include:"):
		return "a list in a file: put its addresses here"
	}
	return ""
}
