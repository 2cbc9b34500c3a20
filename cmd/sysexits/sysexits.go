// Package sysexits has the exit codes of the commands, from sysexits.h, which mail
// programs have used since sendmail. They tell a program that calls sendmail whether
// the message was taken, has to be sent again, or can't be sent at all.
//
//	return sysexits.NoUser.With(fmt.Errorf("no account %s", name))
//
// An error keeps its code when it is wrapped; Of finds it. An error without a code
// has none by itself: each command chooses what that means (a usage error, or "the
// server failed").
package sysexits

import "errors"

// Code is the exit code of a process.
type Code int

// The codes of sysexits.h that the commands use, and zero.
const (
	OK          Code = 0
	Usage       Code = 64 // the command line is wrong
	DataErr     Code = 65 // an input is wrong
	NoInput     Code = 66 // an input does not exist
	NoUser      Code = 67 // an account, domain or alias does not exist
	Unavailable Code = 69 // a server or a service is not available
	CantCreate  Code = 73 // a file, or an entry of the store, can't be made
	IOErr       Code = 74 // reading or writing failed
	TempFail    Code = 75 // a later attempt may succeed
	NoPerm      Code = 77 // the login was refused, or a file may not be used
	Config      Code = 78 // the configuration is wrong
)

// coded is an error with the exit code that it ends in.
type coded struct {
	code Code
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

// With gives err the code; nil stays nil. The text of the error stays as it is.
func (c Code) With(err error) error {
	if err == nil {
		return nil
	}
	return &coded{c, err}
}

// Of finds the code of err: the outermost one, or for joined errors the first. It reports false for an error without a code.
func Of(err error) (Code, bool) {
	var e *coded
	if errors.As(err, &e) {
		return e.code, true
	}
	return OK, false
}
