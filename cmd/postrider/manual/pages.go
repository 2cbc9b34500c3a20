package manual

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"postrider/engine/config"
	"postrider/engine/server"
)

// Pages are the manual pages of a program by their names: "postrider-queue.1".
func Pages(root *cobra.Command) map[string]string {
	pages := map[string]string{
		root.Name() + ".1":      program(root),
		root.Name() + ".toml.5": configuration(root.Name()),
	}
	for _, cmd := range commands(root) {
		pages[pageOf(cmd)+".1"] = command(cmd)
	}
	return pages
}

// commands are the subcommands that people use.
func commands(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool {
		return !c.IsAvailableCommand() || c.Name() == "completion" || c.Name() == "help"
	})
}

// pageOf is the name of a command's page.
func pageOf(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// program is the page of the whole program.
func program(root *cobra.Command) string {
	var r roff
	r.title(root.Name(), "1", server.Version, lower(root.Short))
	r.macro("SH", "SYNOPSIS")
	r.macro("B", root.Name()+" COMMAND [ARGUMENT...]")
	r.macro("SH", "DESCRIPTION")
	r.text(root.Long)
	r.macro("SH", "COMMANDS")
	var others []string
	for _, cmd := range commands(root) {
		r.item(cmd.Name(), cmd.Short+".")
		others = append(others, pageOf(cmd)+"(1)")
	}
	r.macro("SH", "FILES")
	r.item("/etc/postrider.toml", "The configuration; see postrider.toml(5).")
	r.item("/var/lib/postrider", "The data directory of the service: mail, accounts, keys.")
	seeAlso(&r, append(others, root.Name()+".toml(5)"))
	return r.String()
}

// command is the page of a command with all its subcommands.
func command(cmd *cobra.Command) string {
	var r roff
	r.title(pageOf(cmd), "1", server.Version, lower(cmd.Short))
	subs := commands(cmd)
	r.macro("SH", "SYNOPSIS")
	if len(subs) == 0 {
		r.macro("B", usage(cmd))
	}
	for i, sub := range subs {
		if i > 0 {
			r.macro("br")
		}
		r.macro("B", usage(sub))
	}
	r.macro("SH", "DESCRIPTION")
	if len(subs) == 0 {
		body(&r, cmd, "SH")
	} else {
		r.text(described(cmd))
	}
	for _, sub := range subs {
		r.macro("SH", sub.CommandPath())
		body(&r, sub, "SS")
	}
	seeAlso(&r, []string{cmd.Root().Name() + "(1)", cmd.Root().Name() + ".toml(5)"})
	return r.String()
}

// body describes one command: its text, options and examples, below headings of a level.
func body(r *roff, cmd *cobra.Command, heading string) {
	r.text(described(cmd))
	r.macro(heading, "OPTIONS")
	options := 0
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			r.item(option(f), f.Usage)
			options++
		}
	})
	if !cmd.DisableFlagParsing {
		r.item("--help", "Print a description of the command.")
	}
	if options == 0 && cmd.DisableFlagParsing {
		r.plain("They are described above.")
	}
	if cmd.Example != "" {
		r.macro(heading, "EXAMPLES")
		r.verbatim(cmd.Example)
	}
}

// described is the long description, or the short one as a sentence.
func described(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

// usage is the line that shows how a command is called.
func usage(cmd *cobra.Command) string {
	line := cmd.CommandPath() + strings.TrimPrefix(cmd.Use, cmd.Name())
	if cmd.HasAvailableLocalFlags() && !cmd.DisableFlagsInUseLine {
		line += " [OPTION...]"
	}
	return line
}

// option is how a flag is written.
func option(f *pflag.Flag) string {
	text := "--" + f.Name
	if f.Shorthand != "" {
		text = "-" + f.Shorthand + ", " + text
	}
	if name, _ := pflag.UnquoteUsage(f); name != "" && f.NoOptDefVal == "" {
		text += " " + strings.ToUpper(name)
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" && f.Value.Type() != "value" {
		text += fmt.Sprintf(" (default %s)", f.DefValue)
	}
	return text
}

// configuration is the page of the configuration file.
func configuration(program string) string {
	var r roff
	r.title(program+".toml", "5", server.Version, "configuration of the mail server "+program)
	r.macro("SH", "DESCRIPTION")
	r.text(fmt.Sprintf(`The file is in TOML: groups in brackets, and keys with their values below them. A key that
is not set has its default. "%[1]s config defaults" prints a file with all keys, "%[1]s
config check" reports what is wrong with yours. An option of "%[1]s serve" overrides the
file. "%[1]s reload" has the running server read it again; a key for which a change needs a
restart keeps its value until then, and all others apply at once, to new sessions.`, program))
	group := ""
	for _, k := range config.Default().Keys() {
		if k.Group() != group {
			group = k.Group()
			r.macro("SH", "["+group+"]")
		}
		text := strings.Join(strings.Fields(k.Help), " ") + "\nAllowed: " + k.Allowed() + "."
		if k.RFC != "" {
			text += "\n" + k.RFC + "."
		}
		if k.Flag != "" {
			text += "\nOption: --" + k.Flag + "."
		}
		if k.NeedsRestart() {
			text += "\nA change needs a restart."
		}
		r.item(k.Base()+" = "+defaultOf(k), text)
	}
	seeAlso(&r, []string{program + "(1)", program + "-serve(1)", program + "-config(1)"})
	return r.String()
}

// defaultOf is the default of a key; it is not the name of the machine that makes the page.
func defaultOf(k *config.Key) string {
	if k.Name == "server.hostname" {
		return "the name of the host"
	}
	return k.Default()
}

func seeAlso(r *roff, pages []string) {
	slices.Sort(pages)
	r.macro("SH", "SEE ALSO")
	r.plain(strings.Join(pages, ", "))
}

// lower is a short description as it is within a sentence: it begins with a small letter,
// unless the first word is a name.
func lower(text string) string {
	if len(text) > 1 && text[1] >= 'a' && text[1] <= 'z' || strings.HasPrefix(text, "A ") {
		return strings.ToLower(text[:1]) + text[1:]
	}
	return text
}
