package accounts

import (
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/codec/address"
	"postrider/storage"
)

// warn writes warnings, one a line.
func warn(cmd *cobra.Command, words []string) {
	for _, w := range words {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
	}
}

// stillNamed lists the aliases with targets that were removed: gone reports which are.
func stillNamed(ws *workspace.Workspace, gone func(local, domain string) bool, consequence string) (words []string, err error) {
	err = ws.Aliases(func(a storage.Alias) bool {
		for _, t := range a.Targets {
			local, domain, _ := address.Cut(t)
			if gone(address.FoldLocal(address.Unquote(local)), address.FoldDomain(domain)) {
				words = append(words, fmt.Sprintf("%s is still in the alias %s: %s", t, workspace.AliasName(a), consequence))
			}
		}
		return true
	})
	return words, err
}
