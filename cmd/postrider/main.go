// Postrider is a mail server: mail in by SMTP, kept in a durable store, out by
// POP3. This command runs it (serve) and administers its store. See
// "postrider help".
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/accounts"
	"postrider/cmd/postrider/completion"
	"postrider/cmd/postrider/install"
	"postrider/cmd/postrider/look"
	"postrider/cmd/postrider/mail"
	"postrider/cmd/postrider/manual"
	"postrider/cmd/postrider/queue"
	"postrider/cmd/postrider/sendmail"
	"postrider/cmd/postrider/serve"
	"postrider/cmd/postrider/store"
	"postrider/cmd/postrider/uu"
	"postrider/cmd/postrider/workspace"
	"postrider/engine/server"
)

func main() {
	// A second signal kills the process.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	root := rootCommand()
	completion.Values(root)
	root.SetArgs(argsOf(os.Args))
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "postrider:", err)
		os.Exit(int(workspace.ExitCode(err)))
	}
}

// argsOf returns the arguments of a command line. Under the name of a program that
// postrider replaces, that name is the command.
func argsOf(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	switch name := filepath.Base(args[0]); name {
	case "sendmail", "mailq", "newaliases", "postqueue", "postsuper", "postcat", "qshape", "uuencode", "uudecode":
		return append([]string{name}, args[1:]...)
	}
	return args[1:]
}

func rootCommand() *cobra.Command {
	root := workspace.Root(&cobra.Command{
		Use:     "postrider",
		Short:   "A mail server: SMTP in, POP3 out",
		Version: server.Version,
		Long: `Postrider takes mail by SMTP, keeps it in a durable store and gives it out by
POP3. "serve" runs it; the other commands administer its store, through the
running server if there is one, else by opening the store themselves.

The configuration is the file that --config names, else $POSTRIDER_CONFIG, else
/etc/postrider.toml if it exists; without any of them the store is ./postrider-data.
Where a server runs, commands go by its settings. Only "serve", and --create of the
commands that have it, make a store.

Exit codes are as in sysexits.h: 64 usage, 65 wrong data, 66 no input, 67 no such user,
69 unavailable, 73 can't create, 74 input or output, 75 try again, 77 login
refused, 78 configuration.`,
	},
		serve.Command(), serve.ConfigCommand(), serve.ReloadCommand(), serve.RestartCommand(), serve.VersionCommand(), install.Command(),
		accounts.AccountCommand(), accounts.DomainCommand(), accounts.AliasCommand(), accounts.NewaliasesCommand(), accounts.DKIMCommand(),
		look.StatusCommand(), look.WhoCommand(), look.KickCommand(), look.TopCommand(), look.TraceCommand(),
		store.ExportCommand(), store.ImportCommand(), store.ImportTreeCommand(), store.PullCommand(), store.CheckCommand(), store.BackupCommand(), store.RestoreCommand(), store.SalvageCommand(), store.UndeleteCommand(),
		queue.Command(), queue.MailqCommand(), queue.WhyCommand(), queue.RouteCommand(),
		queue.PostqueueCommand(), queue.PostsuperCommand(), queue.PostcatCommand(), queue.QshapeCommand(),
		sendmail.Command(sendmail.Others{List: queue.Print, Flush: queue.Flush, Aliases: accounts.TakeSystemAliases}),
		mail.Command(), uu.EncodeCommand(), uu.DecodeCommand(), manual.Command())
	root.SetVersionTemplate("postrider {{.Version}}\n")
	return root
}
