package workspace

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"

	"postrider/cmd/sysexits"
	"postrider/storage"
)

// ExitCode is the exit code of an error: the one it was given, else by its kind.
func ExitCode(err error) sysexits.Code {
	if code, ok := sysexits.Of(err); ok {
		return code
	}
	for _, k := range [...]struct {
		kind error
		code sysexits.Code
	}{
		{storage.ErrNotFound, sysexits.NoUser}, {storage.ErrExists, sysexits.CantCreate}, {storage.ErrInvalid, sysexits.DataErr},
		{storage.ErrInUse, sysexits.TempFail}, {storage.ErrTemporary, sysexits.TempFail}, {storage.ErrFull, sysexits.TempFail},
		{storage.ErrOverQuota, sysexits.TempFail}, {storage.ErrFenced, sysexits.TempFail}, {storage.ErrClosed, sysexits.TempFail},
		{storage.ErrCorrupt, sysexits.IOErr}, {storage.ErrFailed, sysexits.IOErr},
		{fs.ErrNotExist, sysexits.NoInput}, {fs.ErrExist, sysexits.CantCreate}, {fs.ErrPermission, sysexits.NoPerm},
		{context.Canceled, sysexits.TempFail}, {context.DeadlineExceeded, sysexits.TempFail},
		{syscall.ECONNREFUSED, sysexits.Unavailable}, {syscall.EPIPE, sysexits.IOErr},
	} {
		if errors.Is(err, k.kind) {
			return k.code
		}
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return sysexits.IOErr
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return sysexits.IOErr
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return sysexits.Unavailable
	}
	return sysexits.Usage
}

// IOError gives an error that has no kind of its own the code of input and output.
func IOError(err error) error {
	if err != nil && ExitCode(err) == sysexits.Usage {
		return sysexits.IOErr.With(err)
	}
	return err
}
