// Package lines gathers what is wrong with the lines of a file that accounts or aliases
// are made of. All lines are read before anything is made, so that the user sees
// every fault at once, each with the name of the file and the number of its line.
package lines

import (
	"errors"
	"fmt"
	"slices"

	"postrider/cmd/sysexits"
)

// Faults are what is wrong with the lines of a file.
type Faults struct {
	From string // the file, as it is called in the errors
	Errs []error
}

// fault is what is wrong with one line.
type fault struct {
	line int
	text string
}

func (f *fault) Error() string { return f.text }

// Add adds a fault of a line.
func (f *Faults) Add(line int, format string, args ...any) {
	f.Errs = append(f.Errs, &fault{line, fmt.Sprintf("%s:%d: %s", f.From, line, fmt.Sprintf(format, args...))})
}

// Err is all faults as one error, in the order of the lines, which says that nothing was
// added; nil: no line is wrong.
func (f *Faults) Err() error {
	if len(f.Errs) == 0 {
		return nil
	}
	slices.SortStableFunc(f.Errs, func(a, b error) int { return a.(*fault).line - b.(*fault).line })
	return sysexits.DataErr.With(errors.Join(append(f.Errs, errors.New("nothing was added"))...))
}

// Stopped is the error of reading that ended a file after so many lines; nil for nil.
func (f *Faults) Stopped(after int, err error) error {
	if err == nil {
		return nil
	}
	return sysexits.IOErr.With(fmt.Errorf("%s:%d: %w: nothing was added", f.From, after+1, err))
}
