package accounts

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/storage"
)

func accountExpire() *cobra.Command {
	var t workspace.Target
	return t.Flags(&cobra.Command{
		Use:   "expire NAME[@DOMAIN] [TIME]",
		Short: "Show or set how long mail stays in the maildrop of an account",
		Long: `Show or set how long mail stays in the maildrop of an account: 90d, "never", or "default" for
pop3.expire. POP3 clients are told (EXPIRE, RFC 2449). A running server deletes what is older
within the hour, unless a session has the maildrop open; storage.keep_deleted says how long
it can be undeleted. The age of a message begins when it came into this store.`,
		Example: `  postrider account expire alice
  postrider account expire alice 90d
  postrider account expire alice never`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := workspace.AtLeast(1)(cmd, args); err != nil {
				return err
			}
			return workspace.AtMost(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var set *time.Duration
			if len(args) == 2 {
				d, err := parseExpire(args[1])
				if err != nil {
					return err
				}
				set = &d
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				a, err := ws.AccountNamed(args[0])
				if err != nil {
					return err
				}
				if set != nil {
					a.Expire = *set
					if err := ws.ChangeAccount(a.ID, storage.AccountChange{Expire: set}); err != nil {
						return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
					}
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: mail %s\n", workspace.Mailbox(a), expireWords(&a, ws.Config.POP3.Expire))
				return nil
			})
		},
	})
}

// parseExpire reads how long mail stays.
func parseExpire(text string) (time.Duration, error) {
	switch text {
	case "never":
		return storage.NeverExpire, nil
	case "default":
		return 0, nil
	}
	d, err := config.ParseDuration(text)
	if err != nil || d < storage.LeastExpire || d > storage.MaxExpire || d%storage.LeastExpire != 0 {
		return 0, sysexits.Usage.With(fmt.Errorf("%q: expected days (90d), \"never\" or \"default\"", text))
	}
	return d, nil
}

// expireWords say how long an account's mail stays.
func expireWords(a *storage.Account, all time.Duration) string {
	words := "stays for ever"
	if d := a.ExpiresAfter(all); d > 0 {
		words = "expires after " + config.FormatDays(d)
	}
	if a.Expire == 0 {
		words += " (pop3.expire)"
	}
	return words
}
