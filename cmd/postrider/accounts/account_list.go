package accounts

import (
	"fmt"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/address"
	"postrider/engine/config"
	"postrider/engine/front/admin"
	"postrider/storage"
)

// accountLine is an account in a listing.
type accountLine struct {
	Address     string     `json:"address"`
	Name        string     `json:"name"`
	Domain      string     `json:"domain"`
	Messages    int64      `json:"messages"`
	Octets      int64      `json:"octets"`
	Quota       int64      `json:"quota,omitempty"`
	MaxMessages int64      `json:"max_messages,omitempty"`
	Used        int64      `json:"used_percent"` // part of the quota that is used up first
	Login       bool       `json:"login"`        // has a password, and is not disabled
	APOP        bool       `json:"apop"`
	SCRAM       bool       `json:"scram"`
	Disabled    bool       `json:"disabled"`
	RefusesMail bool       `json:"refuses_mail"`
	Expire      string     `json:"expire"` // how long mail stays: "90d", "never"
	Created     time.Time  `json:"created"`
	LastLogin   *time.Time `json:"last_login"` // null: none is known
}

// listFilter says which accounts are listed.
type listFilter struct {
	domain          string
	disabled, apop  bool
	withoutPassword bool
	noSCRAM         bool
	over            int64
	idle            string
	patterns        []string

	before time.Time // from idle
}

func accountList() *cobra.Command {
	var t workspace.Target
	var asJSON, removed bool
	var f listFilter
	cmd := &cobra.Command{
		Use:   "list [PATTERN...]",
		Short: "List the accounts, with what they hold and when they logged in last",
		Long: `List the accounts, with their messages and octets, their quota, and when they logged in
last, to ten minutes. EXPIRE is how long mail stays; "-" is for ever. A PATTERN is an address or a name with * and ? in it; an account is
listed if one fits, and all flags that are given. --removed lists the accounts that
"account undelete" can bring back, instead.`,
		Example: `  postrider account list --json
  postrider account list '*@example.org' --over 80
  postrider account list --idle 365d --domain example.org
  postrider account list --removed`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.patterns = args
			if err := f.prepare(time.Now()); err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				if removed {
					return listRemoved(ws, cmd, &f, asJSON)
				}
				lines, err := accountLines(ws, &f)
				if err != nil {
					return err
				}
				if asJSON {
					return workspace.PrintJSON(cmd.OutOrStdout(), lines)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				fmt.Fprintln(w, "ADDRESS\tMESSAGES\tOCTETS\tQUOTA\tEXPIRE\tLOGIN\tLAST LOGIN\tCREATED")
				for _, l := range lines {
					fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Address, l.Messages, l.Octets, l.quotaWord(), strings.Replace(l.Expire, "never", "-", 1), l.loginWord(), l.lastWord(), l.Created.Local().Format(time.DateTime))
				}
				return w.Flush()
			})
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&asJSON, "json", false, "print JSON")
	fs.BoolVar(&removed, "removed", false, "removed accounts that can be undeleted")
	fs.StringVar(&f.domain, "domain", "", "accounts of this domain")
	fs.BoolVar(&f.disabled, "disabled", false, "accounts that are disabled")
	fs.BoolVar(&f.apop, "apop", false, "accounts whose password is stored in clear text, too")
	fs.BoolVar(&f.withoutPassword, "no-password", false, "accounts without a password")
	fs.BoolVar(&f.noSCRAM, "no-scram", false, "accounts with a password that have no verifier for SCRAM yet")
	workspace.NumberVar(fs, &f.over, "over", "", 0, "accounts that use at least so much of their quota, in percent")
	fs.StringVar(&f.idle, "idle", "", "accounts without a login for so long: 12h, 90d; made before that")
	return t.Flags(cmd)
}

// prepare checks the filter.
func (f *listFilter) prepare(now time.Time) error {
	if f.domain != "" {
		domain, err := address.ParseDomain(f.domain)
		if err != nil {
			return sysexits.Usage.With(fmt.Errorf("--domain: %w", err))
		}
		f.domain = domain
	}
	for i, p := range f.patterns {
		f.patterns[i] = strings.ToLower(p)
		if _, err := path.Match(f.patterns[i], ""); err != nil {
			return sysexits.Usage.With(fmt.Errorf("the pattern %q can't be read: %w", p, err))
		}
	}
	if f.idle == "" {
		return nil
	}
	idle, err := workspace.ParseAge(f.idle)
	if err != nil {
		return sysexits.Usage.With(fmt.Errorf("--idle %s: %w", f.idle, err))
	}
	f.before = now.Add(-idle)
	return nil
}

// lets reports whether an account is listed, as far as its usage does not matter.
func (f *listFilter) lets(a *storage.Account) bool {
	if f.domain != "" && a.Domain != f.domain ||
		f.disabled && a.Access == storage.FullAccess ||
		f.apop && a.Secret == "" ||
		f.withoutPassword && a.Hash != "" ||
		f.noSCRAM && (a.Hash == "" || storage.HasVerifier(a.Hash)) ||
		!f.before.IsZero() && (a.LastLogin.After(f.before) || a.Created.After(f.before)) {
		return false
	}
	for _, p := range f.patterns {
		whole, _ := path.Match(p, a.Name+"@"+a.Domain)
		name, _ := path.Match(p, a.Name)
		if whole || name {
			return true
		}
	}
	return len(f.patterns) == 0
}

func (l accountLine) loginWord() string {
	switch {
	case l.RefusesMail:
		return "disabled, refuses mail"
	case l.Disabled:
		return "disabled"
	case l.APOP:
		return "password, apop"
	case l.Login:
		return "password"
	}
	return "no"
}

func (l accountLine) quotaWord() string {
	var words []string
	if l.Quota > 0 {
		words = append(words, config.FormatOctets(l.Quota))
	}
	if l.MaxMessages > 0 {
		words = append(words, fmt.Sprintf("%d messages", l.MaxMessages))
	}
	if len(words) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%d %%)", strings.Join(words, ", "), l.Used)
}

func (l accountLine) lastWord() string {
	if l.LastLogin == nil {
		return "-"
	}
	return l.LastLogin.Local().Format(time.DateTime)
}

func accountLines(ws *workspace.Workspace, f *listFilter) ([]accountLine, error) {
	var ids []storage.AccountID
	var found []accountLine
	err := ws.Accounts(func(a storage.Account) bool {
		if !f.lets(&a) {
			return true
		}
		ids = append(ids, a.ID)
		l := accountLine{
			Address: workspace.Mailbox(a), Name: a.Name, Domain: a.Domain, Quota: a.Quota, MaxMessages: a.MaxMessages,
			Login: a.Hash != "" && a.Access == storage.FullAccess, APOP: a.Secret != "", SCRAM: storage.HasVerifier(a.Hash),
			Disabled: a.Access != storage.FullAccess, RefusesMail: a.Access == storage.NoMail, Created: a.Created,
			Expire: "never",
		}
		if d := a.ExpiresAfter(ws.Config.POP3.Expire); d > 0 {
			l.Expire = config.FormatDays(d)
		}
		if !a.LastLogin.IsZero() {
			l.LastLogin = &a.LastLogin
		}
		found = append(found, l)
		return true
	})
	if err != nil {
		return nil, err
	}
	used, err := usages(ws, ids)
	if err != nil {
		return nil, err
	}
	lines := []accountLine{}
	for i, l := range found {
		l.Messages, l.Octets = used[i].Messages, used[i].Octets
		l.Used = max(percent(l.Octets, l.Quota), percent(l.Messages, l.MaxMessages))
		if f.over == 0 || l.Used >= f.over {
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// usages are what the accounts hold.
func usages(ws *workspace.Workspace, ids []storage.AccountID) ([]storage.Quota, error) {
	if server := ws.Running(); server != nil {
		return server.Usages(ids)
	}
	return admin.Usages(ws.Store, ids)
}
