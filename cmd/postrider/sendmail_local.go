package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"postrider/engine/config"
	"postrider/engine/localmail"
)

// handIn gives the message to the running server at the socket for every local user. The
// text has not been read before: who may not use the store is told so at once.
func (a *sendmailArgs) handIn(cmd *cobra.Command) error {
	m, err := a.mail()
	if err != nil {
		return err
	}
	path := config.SystemMailSocket
	if cfg, err := a.target.config(); err == nil {
		path = cfg.LocalMailSocket()
	}
	text := cmd.InOrStdin()
	if !a.wholeInput {
		text = newUntilDot(text)
	}
	letter := localmail.Letter{
		Sender: a.sender, FullName: a.fullName, Recipients: m.Recipients, FromHeader: a.fromHeader,
		Notify: uint8(a.notify), Ret: uint8(a.ret), EnvID: a.envID,
	}
	answer, err := localmail.Send(cmd.Context(), path, letter, text)
	if err != nil {
		return exit(exTempFail, fmt.Errorf("the server's socket for mail, %s, does not answer: does the server run? (%w)", path, err))
	}
	if a.verbose && answer.ID != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "stored as %s\n", answer.ID)
	}
	if answer.Error == "" {
		return nil
	}
	codes := map[string]int{"usage": exUsage, "data": exDataErr, "user": exNoUser, "later": exTempFail}
	return exit(codes[answer.Kind], errors.New(answer.Error))
}
