package accounts

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/mail/router"
	"postrider/storage"
)

func accountDisable() *cobra.Command {
	var t workspace.Target
	var refuse bool
	cmd := &cobra.Command{
		Use:   "disable NAME[@DOMAIN]...",
		Short: "Let accounts log in no more; their mail stays",
		Long: `Let accounts log in no more: POP3 answers -ERR [AUTH], SMTP 535, the web client that name
or password is wrong. Open sessions end before their next command. Mail for the accounts is
still taken; with --refuse-mail it is refused with 550 5.2.1. "account enable" undoes both.`,
		Example: `  postrider account disable alice
  postrider account disable --refuse-mail alice bob@example.org`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			access, word := storage.NoLogin, "disabled %s: mail for it is taken\n"
			if refuse {
				access, word = storage.NoMail, "disabled %s: mail for it is refused\n"
			}
			return setAccess(cmd, &t, args, access, word)
		},
	}
	cmd.Flags().BoolVar(&refuse, "refuse-mail", false, "refuse mail for the accounts, too")
	return t.Flags(cmd)
}

func accountEnable() *cobra.Command {
	var t workspace.Target
	return t.Flags(&cobra.Command{
		Use:     "enable NAME[@DOMAIN]...",
		Short:   "Let disabled accounts log in and get mail again",
		Example: "  postrider account enable alice",
		Args:    workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return setAccess(cmd, &t, args, storage.FullAccess, "enabled %s\n")
		},
	})
}

func setAccess(cmd *cobra.Command, t *workspace.Target, names []string, access storage.Access, word string) error {
	return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
		for _, name := range names {
			a, err := ws.AccountNamed(name)
			if err != nil {
				return err
			}
			if err := ws.ChangeAccount(a.ID, storage.AccountChange{Access: &access}); err != nil {
				return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), word, workspace.Mailbox(a))
		}
		return nil
	})
}

func accountRename() *cobra.Command {
	var t workspace.Target
	var alias bool
	cmd := &cobra.Command{
		Use:   "rename OLD[@DOMAIN] NEW[@DOMAIN]",
		Short: "Give an account another name; its mail and its password stay",
		Long: `Give an account another name or move it to another domain of ours. Its mail, its UIDLs and
its password stay. Open sessions end before their next command; the owner logs in with the
new name. With --alias mail for the old name is sent on to the new one.`,
		Example: `  postrider account rename jsmith jdoe --alias
  postrider account rename info@old.example info@new.example`,
		Args: workspace.Exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				a, err := ws.AccountNamed(args[0])
				if err != nil {
					return err
				}
				local, domain, err := ws.ParseName(args[1])
				if err != nil {
					return err
				}
				if err := renameAccount(ws, a, local, domain, alias); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "renamed %s to %s\n", workspace.Mailbox(a), router.Mailbox(local, domain))
				if alias {
					return nil
				}
				words, err := stillNamed(ws, func(l, d string) bool { return l == a.Name && d == a.Domain },
					"mail to the alias is returned to the sender for it; use \"postrider alias add\" to make the alias with the new name")
				warn(cmd, words)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&alias, "alias", false, "make the old name an alias of the new one")
	return t.Flags(cmd)
}

func renameAccount(ws *workspace.Workspace, a storage.Account, local, domain string, alias bool) error {
	if local == a.Name && domain == a.Domain {
		return sysexits.DataErr.With(fmt.Errorf("%s has that name already", workspace.Mailbox(a)))
	}
	old, err := ws.Lookup(a.Name, a.Domain)
	if err != nil {
		return err
	}
	if alias && len(old.Targets) > 0 {
		return sysexits.CantCreate.With(fmt.Errorf("%s is an alias too, and stays one: rename without --alias, then give the alias its new targets", workspace.Mailbox(a)))
	}
	if err := (directory{ws, nil, nil}).mayMake(local, domain); err != nil {
		return err
	}
	if err := ws.ChangeAccount(a.ID, storage.AccountChange{Name: &local, Domain: &domain}); err != nil {
		return fmt.Errorf("%s: %w", router.Mailbox(local, domain), err)
	}
	if !alias {
		return nil
	}
	err = ws.SetAliases([]storage.Alias{{Name: a.Name, Domain: a.Domain, Targets: []string{router.Mailbox(local, domain)}}})
	if err != nil {
		return fmt.Errorf("the account is renamed, but the alias %s was not made: %w", workspace.Mailbox(a), err)
	}
	return nil
}

// quotaFlags are the limits of an account.
type quotaFlags struct {
	size     string
	messages int64
}

func (q *quotaFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&q.size, "quota", "", "the most octets that the maildrop holds: 500MiB, 2GiB; 0: no limit")
	workspace.NumberVar(cmd.Flags(), &q.messages, "max-messages", "", -1, "the most messages that the maildrop holds; 0: no limit")
}

// given reports whether a flag was given.
func (q *quotaFlags) given() bool { return q.size != "" || q.messages >= 0 }

// values are the limits; octets and messages are the limits now, where no flag is given.
func (q *quotaFlags) values(octets, messages int64) (int64, int64, error) {
	if q.size != "" {
		n, err := config.ParseOctets(q.size)
		if err == nil && n < 0 {
			err = errors.New("it is negative")
		}
		if err != nil {
			return 0, 0, sysexits.Usage.With(fmt.Errorf("--quota %s: %w", q.size, err))
		}
		octets = n
	}
	if q.messages >= 0 {
		messages = q.messages
	}
	return octets, messages, nil
}

func accountQuota() *cobra.Command {
	var t workspace.Target
	var q quotaFlags
	cmd := &cobra.Command{
		Use:   "quota NAME[@DOMAIN]...",
		Short: "Show or set how much the maildrops of accounts may hold",
		Long: `Show or set how much the maildrops of accounts may hold, in octets and in messages. At
80 % the owner gets a mail. A message that has no room is refused with 452, or with 552 if
smtp.over_quota says so. A maildrop that holds more than its new quota keeps it.`,
		Example: `  postrider account quota alice
  postrider account quota alice bob --quota 2GiB --max-messages 100000
  postrider account quota alice --quota 0`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				for _, name := range args {
					if err := quotaOf(ws, cmd, name, &q); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	q.add(cmd)
	return t.Flags(cmd)
}

// quotaOf sets the quota of one account, if a flag is given, and shows it.
func quotaOf(ws *workspace.Workspace, cmd *cobra.Command, name string, q *quotaFlags) error {
	a, err := ws.AccountNamed(name)
	if err != nil {
		return err
	}
	if q.given() {
		if a.Quota, a.MaxMessages, err = q.values(a.Quota, a.MaxMessages); err != nil {
			return err
		}
		if err := ws.ChangeAccount(a.ID, storage.AccountChange{Quota: &a.Quota, MaxMessages: &a.MaxMessages}); err != nil {
			return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
		}
	}
	messages, octets, err := ws.Usage(a.ID)
	if err != nil {
		return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s\n", workspace.Mailbox(a), usedOf(octets, a.Quota, "octets"), usedOf(messages, a.MaxMessages, "messages"))
	return nil
}

// usedOf is what is used of a limit, in words.
func usedOf(n, limit int64, unit string) string {
	if limit == 0 {
		return fmt.Sprintf("%d %s, no limit", n, unit)
	}
	return fmt.Sprintf("%d of %d %s (%d %%)", n, limit, unit, percent(n, limit))
}

// percent is n in percent of a limit; 0: there is none.
func percent(n, limit int64) int64 {
	if limit == 0 {
		return 0
	}
	return int64(float64(n) / float64(limit) * 100)
}
