package completion

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"postrider/cmd/postrider/workspace"
	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
	"postrider/storage"
)

// source lists the values that begin with a text, until yield returns false.
type source func(server *admin.Client, yield func(value string) bool) error

// Values attaches the completion of values to all commands below root. What a command
// completes by itself stays.
func Values(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Name() == "mail" || cmd.Name() == "completion" { // its accounts are at other servers
			continue
		}
		Values(cmd)
		if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 && !cmd.HasSubCommands() {
			cmd.ValidArgsFunction = arguments(cmd)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flagValues(cmd, f) })
	}
}

// flagValues completes the value of a flag, where it has a source.
func flagValues(cmd *cobra.Command, f *pflag.Flag) {
	switch f.Name {
	case "config":
		_ = cmd.MarkFlagFilename(f.Name, "toml") // the flag is there
		return
	case "data", "out":
		_ = cmd.MarkFlagDirname(f.Name)
		return
	}
	list := flags[f.Name]
	switch {
	case f.Value.Type() == "ID":
		list = queueIDs
	case list != nil && cmd.Name() == "undelete":
		list = nothing // these are ids of deleted messages
	}
	if list == nil {
		return
	}
	_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, _ []string, begin string) ([]string, cobra.ShellCompDirective) {
		return values(cmd, list, begin), cobra.ShellCompDirectiveNoFileComp
	})
}

// flags are the flags whose values the server knows.
var flags = map[string]source{"to-domain": destinations, "site": destinations, "dest": destinations, "id": queueIDs}

// placeholders are the words of usage lines with what they mean.
var placeholders = map[string]source{
	"NAME": accountNames, "ADDRESS": accountNames, "TO": accountNames, "FROM": aliasNames, "DOMAIN": domainNames,
	"ID": queueIDs, "id": queueIDs, "SESSION": sessionIDs, "KEY": keyNames, "queue": queueNames,
}

// arguments completes the arguments of a command by the placeholders of its usage line; a
// placeholder that is not known is a file.
func arguments(cmd *cobra.Command) cobra.CompletionFunc {
	words, repeats := positions(cmd.Use)
	if cmd.Name() == "add" && len(words) > 0 {
		words[0] = "" // the name of something that is not there yet
	}
	whole := strings.Contains(cmd.Use, "ALL")
	undelete := cmd.Name() == "undelete" && cmd.HasParent() && cmd.Parent().Name() == "account"
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		at := len(args)
		if repeats && at >= len(words) {
			at = len(words) - 1
		}
		if at >= len(words) || words[at] == "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list := placeholders[words[at]]
		if undelete {
			list = removedNames
		}
		if list == nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		found := values(cmd, list, begin)
		if whole && at == 0 && len(args) == 0 && strings.HasPrefix("ALL", begin) {
			found = append(found, "ALL")
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// positions are the placeholders of a usage line by their place, and whether the last one
// may be repeated. Options are left out, and so are the others of several alternatives:
// "export (NAME[@DOMAIN]... | --all) --format FORMAT --out DIR" has NAME, repeated.
func positions(use string) (words []string, repeats bool) {
	fields := strings.Fields(use)
	for i := 1; i < len(fields); i++ {
		word := strings.Trim(fields[i], "[]()")
		closed := strings.HasSuffix(fields[i], "]") || strings.HasSuffix(fields[i], ")")
		switch {
		case word == "|":
			for i++; i < len(fields) && !strings.HasSuffix(fields[i], "]") && !strings.HasSuffix(fields[i], ")"); i++ {
			}
		case strings.HasPrefix(word, "-"):
			if !closed && i+1 < len(fields) && !strings.ContainsAny(fields[i+1][:1], "[(|-") {
				i++ // its value
			}
		default:
			word, more := strings.CutSuffix(word, "...")
			word, _, _ = strings.Cut(word, "[")
			word, _, _ = strings.Cut(word, "|")
			words, repeats = append(words, word), more
		}
	}
	return words, repeats
}

// A completion looks at no more than this, and ends after patience: it is for a person at
// a keyboard.
const (
	mostValues  = 500
	mostLookups = 20_000
	patience    = 2 * time.Second
)

// values lists the values of a source that begin with a text.
func values(cmd *cobra.Command, list source, begin string) (found []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	server := server(ctx, cmd)
	if server != nil {
		defer server.Close()
	}
	looked, last := 0, ""
	// What went wrong half-way leaves fewer values; there is no place to say so.
	_ = list(server, func(value string) bool {
		looked++
		if value != last && strings.HasPrefix(value, begin) {
			found, last = append(found, value), value
		}
		return len(found) < mostValues && looked < mostLookups && ctx.Err() == nil
	})
	return found
}

// server is the running server that the flags of a command, or the system's
// configuration, lead to; nil: there is none.
func server(ctx context.Context, cmd *cobra.Command) *admin.Client {
	var t workspace.Target
	if f := cmd.Flags().Lookup("config"); f != nil {
		t.File = f.Value.String()
	}
	if f := cmd.Flags().Lookup("data"); f != nil {
		t.Data = f.Value.String()
	}
	cfg, err := t.Config()
	if err != nil {
		return nil
	}
	client, err := admin.Dial(ctx, workspace.AdminSocket(cfg))
	if err != nil {
		return nil
	}
	return client
}

func accountNames(server *admin.Client, yield func(string) bool) error {
	if server == nil {
		return nil
	}
	return server.Accounts(func(a storage.Account) bool { return yield(workspace.Mailbox(a)) })
}

func removedNames(server *admin.Client, yield func(string) bool) error {
	if server == nil {
		return nil
	}
	return server.RemovedAccounts(func(a storage.RemovedAccount) bool { return yield(workspace.Mailbox(a.Account)) })
}

// nothing is the source of values that the server does not list.
func nothing(*admin.Client, func(string) bool) error { return nil }

func aliasNames(server *admin.Client, yield func(string) bool) error {
	if server == nil {
		return nil
	}
	return server.Aliases(func(a storage.Alias) bool { return yield(workspace.AliasName(a)) })
}

func domainNames(server *admin.Client, yield func(string) bool) error {
	if server == nil {
		return nil
	}
	for _, d := range server.Domains() {
		if !yield(d) {
			break
		}
	}
	return nil
}

func queueIDs(server *admin.Client, yield func(string) bool) error {
	if server == nil {
		return nil
	}
	return server.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool { return yield(e.ID.Message.String()) })
}

// sessionIDs are the ids of the newest sessions.
func sessionIDs(server *admin.Client, yield func(string) bool) error {
	if server == nil {
		return nil
	}
	found, err := server.Look(conn.Selection{}, mostValues)
	for i := range found.Sessions {
		if !yield(strconv.FormatUint(found.Sessions[i].ID, 10)) {
			break
		}
	}
	return err
}

// destinations are the domains of the queue, the largest first.
func destinations(server *admin.Client, yield func(string) bool) error {
	if server == nil {
		return nil
	}
	census, err := server.TakeCensus(admin.CensusArg{By: admin.ByDestination, Top: mostValues})
	if err != nil {
		return err
	}
	for _, row := range census.Rows {
		if !yield(row.Name) {
			break
		}
	}
	return nil
}

func keyNames(_ *admin.Client, yield func(string) bool) error {
	for _, k := range config.Default().Keys() {
		if !yield(k.Name) {
			break
		}
	}
	return nil
}

func queueNames(_ *admin.Client, yield func(string) bool) error {
	for _, name := range []string{"active", "deferred", "hold", "incoming"} {
		if !yield(name) {
			break
		}
	}
	return nil
}
