package workspace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postrider/cmd/sysexits"
)

// ReadPassword reads a new password: one line of the standard input, or twice
// from the terminal without showing it.
func ReadPassword(cmd *cobra.Command, fromStdin bool, account string) ([]byte, error) {
	if fromStdin {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, sysexits.IOErr.With(fmt.Errorf("standard input: %w", err))
		}
		return notEmpty(bytes.TrimRight(line, "\r\n"))
	}
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil, sysexits.Usage.With(errors.New("no terminal to ask for the password at: use --password-stdin"))
	}
	first, err := ask(cmd, fd, "Password for "+account+": ")
	if err != nil {
		return nil, err
	}
	again, err := ask(cmd, fd, "Once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, sysexits.DataErr.With(errors.New("the two passwords differ: nothing was changed"))
	}
	return notEmpty(first)
}

// AskPassword reads a password that is known elsewhere: one line of the standard input, or
// from the terminal without showing it.
func AskPassword(cmd *cobra.Command, fromStdin bool, account string) ([]byte, error) {
	fd := int(os.Stdin.Fd())
	if fromStdin || !term.IsTerminal(fd) {
		return ReadPassword(cmd, fromStdin, account)
	}
	word, err := ask(cmd, fd, "Password for "+account+": ")
	if err != nil {
		return nil, err
	}
	return notEmpty(word)
}

func ask(cmd *cobra.Command, fd int, prompt string) ([]byte, error) {
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	word, err := term.ReadPassword(fd)
	fmt.Fprintln(cmd.ErrOrStderr())
	return word, sysexits.IOErr.With(err)
}

func notEmpty(word []byte) ([]byte, error) {
	if len(word) == 0 {
		return nil, sysexits.DataErr.With(errors.New("the password is empty: nothing was changed"))
	}
	return word, nil
}

// Confirm asks a question when the standard input is a terminal; the error is that the
// answer was not yes. In a script nothing is asked.
func Confirm(cmd *cobra.Command, question string) error {
	if cmd.InOrStdin() != os.Stdin || !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return sysexits.IOErr.With(fmt.Errorf("standard input: %w", err))
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return sysexits.TempFail.With(errors.New("nothing was changed"))
	}
	return nil
}
