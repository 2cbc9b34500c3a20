package main

import (
	"errors"
	"io/fs"
	"net"

	"postrider/cmd/sysexits"
)

// exFailed is the exit code when the server didn't do what was asked.
const exFailed sysexits.Code = 1

// codeOf is the exit code of an error: the one it was given, else by its kind.
func codeOf(err error) sysexits.Code {
	var dial *net.OpError
	code, given := sysexits.Of(err)
	switch {
	case given:
		return code
	case errors.Is(err, fs.ErrNotExist):
		return sysexits.NoInput
	case errors.As(err, &dial) && dial.Op == "dial":
		return sysexits.Unavailable
	}
	return exFailed
}
