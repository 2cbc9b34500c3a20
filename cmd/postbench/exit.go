package main

import (
	"errors"
	"io/fs"
	"net"
)

// The exit codes, those of sysexits.h but for exFailed.
const (
	exFailed      = 1  // the server didn't do what was asked
	exUsage       = 64 // the command line is wrong
	exDataErr     = 65 // an input is wrong
	exNoInput     = 66 // an input isn't there
	exUnavailable = 69 // no connection
)

// exitError is an error with the exit code that it ends in.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exit gives err its exit code; nil stays nil.
func exit(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

func codeOf(err error) int {
	var e *exitError
	var dial *net.OpError
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, fs.ErrNotExist):
		return exNoInput
	case errors.As(err, &dial) && dial.Op == "dial":
		return exUnavailable
	}
	return exFailed
}
