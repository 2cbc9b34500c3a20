package accounts

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/address"
	"postrider/engine/mail/dkim"
)

// DKIMCommand is "postrider dkim".
func DKIMCommand() *cobra.Command {
	return workspace.Group("dkim", "Make and list the keys that sign mail of our domains", dkimKey(), dkimList())
}

// defaultBits is the length of an RSA key: what all receivers check, and what still
// is strong (RFC 8301 section 3.2).
const defaultBits = 2048

func dkimKey() *cobra.Command {
	var t workspace.Target
	var selector, bits string
	cmd := &cobra.Command{
		Use:   "key DOMAIN",
		Short: "Make a key for a domain and print its DNS record",
		Long: `Make a key that signs mail of a domain (DKIM, RFC 6376) and print the TXT record
for its zone file. The key is the file dkim/SELECTOR._domainkey.DOMAIN.pem in the
data directory. Publish the record first; then send the server SIGHUP, or start
it, and it signs.

If the domain has a key of that kind already, the old key is used until its file
is removed: publish the new record, wait until it has spread, remove the old
file, send SIGHUP, and leave the old record for a week. An Ed25519 key (RFC 8463)
signs beside an RSA key, for receivers that can check it.`,
		Example: `  postrider dkim key example.org
  postrider dkim key example.org --bits ed25519
  postrider dkim key example.org --selector winter2026 --bits 3072`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := t.Place()
			if err != nil {
				return err
			}
			domain, err := address.ParseDomain(args[0])
			if err != nil {
				return sysexits.Usage.With(err)
			}
			n := 0
			if bits != "ed25519" {
				if _, err := fmt.Sscanf(bits, "%d", &n); err != nil || n < dkim.LeastBits || n > dkim.MostBits {
					return sysexits.Usage.With(fmt.Errorf("--bits %s: expected a number from %d to %d, or ed25519", bits, dkim.LeastBits, dkim.MostBits))
				}
			}
			if selector == "" {
				selector = dkim.NewSelector(n == 0, time.Now())
			}
			if err := workspace.BecomeServer(cfg); err != nil {
				return err
			}
			key, err := dkim.Create(cfg.DKIMDir(), domain, selector, n)
			if err != nil {
				return sysexits.CantCreate.With(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), key.Record())
			return nil
		},
	}
	cmd.Flags().StringVar(&selector, "selector", "", "name of the key below _domainkey (default: its kind and the date)")
	cmd.Flags().StringVar(&bits, "bits", fmt.Sprint(defaultBits), "length of an RSA key, or \"ed25519\"")
	return t.FlagsWithCreate(cmd)
}

// dkimRow is a key as --json shows it.
type dkimRow struct {
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"`
	Bits      int    `json:"bits"`
	Signs     bool   `json:"signs"`
	Name      string `json:"name"`
	Record    string `json:"record"` // its text
}

func dkimList() *cobra.Command {
	var t workspace.Target
	var asJSON, records bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys that sign mail",
		Long: `List the keys that sign mail, or with --records their DNS records, for a zone file.
A key that "waits" is used once the keys before it are removed.`,
		Example: "  postrider dkim list\n  postrider dkim list --records\n  postrider dkim list --json",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.Place()
			if err != nil {
				return err
			}
			keys, err := dkim.List(cfg.DKIMDir())
			if err != nil {
				return sysexits.Config.With(err)
			}
			active := dkim.Active(keys)
			rows := []dkimRow{}
			for _, k := range keys {
				rows = append(rows, dkimRow{k.Domain, k.Selector, k.Algorithm(), k.Bits(), slices.Contains(active, k), k.Name(), k.Value()})
			}
			if asJSON {
				return workspace.PrintJSON(cmd.OutOrStdout(), rows)
			}
			for i, r := range rows {
				state := "waits"
				if r.Signs {
					state = "signs"
				}
				if records {
					fmt.Fprintln(cmd.OutOrStdout(), keys[i].Record())
				} else {
					fmt.Fprintf(cmd.OutOrStdout(), "%-30s %-16s %-8s %5d %s\n", r.Domain, r.Selector, r.Algorithm, r.Bits, state)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&records, "records", false, "print the DNS records")
	return t.Flags(cmd)
}
