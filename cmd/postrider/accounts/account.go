package accounts

import (
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/admit/password"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// AccountCommand is "postrider account".
func AccountCommand() *cobra.Command {
	return workspace.Group("account", "Add, list, change and remove accounts",
		accountAdd(), accountImport(), accountList(), accountPasswd(), accountDisable(), accountEnable(),
		accountRename(), accountQuota(), accountExpire(), accountRemove(), accountUndelete())
}

func accountAdd() *cobra.Command {
	var t workspace.Target
	var fromStdin, apop bool
	var q quotaFlags
	cmd := &cobra.Command{
		Use:   "add NAME[@DOMAIN]",
		Short: "Make an account",
		Long: `Make an account: a maildrop with a name and a password. Without @DOMAIN it is
made in the default domain; its owner logs in with the whole address, or in the
default domain with the name alone.`,
		Example: `  postrider account add alice
  echo correct-horse | postrider account add alice@example.org --password-stdin
  postrider account add alice --quota 2GiB --max-messages 100000`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.Create, func(ws *workspace.Workspace) error {
				local, domain, err := ws.ParseName(args[0])
				if err != nil {
					return err
				}
				rules, err := rulesOf(ws)
				if err != nil {
					return err
				}
				if err := (directory{ws, rules, nil}).mayMake(local, domain); err != nil {
					return err
				}
				word, err := newPassword(cmd, fromStdin, rules, local, domain)
				if err != nil {
					return err
				}
				hash, err := password.Hash(word, ws.Config.HashCost())
				if err != nil {
					return err
				}
				a := storage.NewAccount{Name: local, Domain: domain, Hash: hash}
				if a.Quota, a.MaxMessages, err = q.values(0, 0); err != nil {
					return err
				}
				if apop {
					a.Secret = string(word)
				}
				if _, err := ws.AddAccount(a); err != nil {
					return fmt.Errorf("%s: %w", router.Mailbox(local, domain), err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "added %s\n", router.Mailbox(local, domain))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from the standard input, one line")
	q.add(cmd)
	cmd.Flags().BoolVar(&apop, "apop", false, "allow APOP: the password is also stored in clear text")
	return t.FlagsWithCreate(cmd)
}

// newPassword reads a password that the rules allow.
func newPassword(cmd *cobra.Command, fromStdin bool, rules *password.Rules, local, domain string) ([]byte, error) {
	word, err := workspace.ReadPassword(cmd, fromStdin, router.Mailbox(local, domain))
	if err != nil {
		return nil, err
	}
	if err := rules.Check(word, local, domain); err != nil {
		return nil, sysexits.DataErr.With(fmt.Errorf("%w: nothing was changed", err))
	}
	return word, nil
}

func accountPasswd() *cobra.Command {
	var t workspace.Target
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "passwd NAME[@DOMAIN]",
		Short: "Change the password of an account",
		Long: `Change the password of an account. It then works with PLAIN, LOGIN and
SCRAM-SHA-256, also if the account was imported with another server's hash,
and with APOP and CRAM-MD5 if the account was made with --apop. Open sessions of the
account end before their next command.`,
		Example: "  postrider account passwd alice",
		Args:    workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				a, err := ws.AccountNamed(args[0])
				if err != nil {
					return err
				}
				rules, err := rulesOf(ws)
				if err != nil {
					return err
				}
				word, err := newPassword(cmd, fromStdin, rules, a.Name, a.Domain)
				if err != nil {
					return err
				}
				hash, err := password.Hash(word, ws.Config.HashCost())
				if err != nil {
					return err
				}
				secret := ""
				if a.Secret != "" { // it may log in by APOP, and goes on to
					secret = string(word)
				}
				if err := ws.SetPassword(a.ID, hash, secret); err != nil {
					return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "changed the password of %s\n", workspace.Mailbox(a))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from the standard input, one line")
	return t.Flags(cmd)
}
