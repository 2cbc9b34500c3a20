package lines

import (
	"errors"
	"io"
	"testing"

	"postrider/cmd/sysexits"
)

func TestFaults(t *testing.T) {
	f := Faults{From: "people"}
	if err := errors.Join(f.Err(), f.Stopped(3, nil)); err != nil {
		t.Error(err)
	}
	f.Add(7, "twice")
	f.Add(2, "no %s", "colon")
	err := f.Err()
	if code, _ := sysexits.Of(err); code != sysexits.DataErr || err.Error() != "people:2: no colon\npeople:7: twice\nnothing was added" {
		t.Errorf("%d %q", code, err)
	}
	err = f.Stopped(3, io.ErrUnexpectedEOF)
	if code, _ := sysexits.Of(err); code != sysexits.IOErr || err.Error() != "people:4: unexpected EOF: nothing was added" {
		t.Errorf("%d %q", code, err)
	}
}
