package sysexits

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestOf(t *testing.T) {
	f := func(err error, want Code, has bool) {
		t.Helper()
		if got, ok := Of(err); got != want || ok != has {
			t.Errorf("%v: %d %v, want %d %v", err, got, ok, want, has)
		}
	}
	f(nil, OK, false)
	f(io.EOF, OK, false)
	f(NoUser.With(nil), OK, false)
	f(NoUser.With(io.EOF), NoUser, true)
	f(fmt.Errorf("alice: %w", NoUser.With(io.EOF)), NoUser, true)
	f(Config.With(fmt.Errorf("alice: %w", NoUser.With(io.EOF))), Config, true)
	f(errors.Join(io.EOF, IOErr.With(io.EOF), Usage.With(io.EOF)), IOErr, true)
}

// An error with a code is still the error that it was.
func TestWith(t *testing.T) {
	err := DataErr.With(fmt.Errorf("line 3: %w", io.ErrUnexpectedEOF))
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "line 3: unexpected EOF" {
		t.Errorf("%q", err)
	}
}
