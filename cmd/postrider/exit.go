package main

import (
	"errors"
	"io/fs"

	"postrider/storage"
)

// The exit codes of sysexits.h that are used here.
const (
	exUsage       = 64 // the command line is wrong
	exDataErr     = 65 // the input is wrong
	exNoInput     = 66 // the input is not there
	exNoUser      = 67 // no such account, domain or alias
	exUnavailable = 69
	exSoftware    = 70
	exCantCreate  = 73
	exIO          = 74
	exTempFail    = 75
	exNoPerm      = 77 // the login was refused, or a file may not be used
	exConfig      = 78
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

// codeOf is the exit code of an error: the one it was given, else by its kind.
func codeOf(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	for _, k := range [...]struct {
		kind error
		code int
	}{
		{storage.ErrNotFound, exNoUser}, {storage.ErrExists, exCantCreate}, {storage.ErrInvalid, exDataErr},
		{storage.ErrInUse, exTempFail}, {storage.ErrTemporary, exTempFail}, {storage.ErrFull, exTempFail},
		{storage.ErrOverQuota, exTempFail}, {storage.ErrFenced, exTempFail}, {storage.ErrClosed, exTempFail},
		{storage.ErrCorrupt, exIO}, {storage.ErrFailed, exIO},
		{fs.ErrNotExist, exNoInput}, {fs.ErrExist, exCantCreate},
	} {
		if errors.Is(err, k.kind) {
			return k.code
		}
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return exIO
	}
	return exUsage
}
