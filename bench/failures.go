package bench

import (
	"errors"
	"fmt"
)

// Failures gathers the errors of many sessions, which are often the same one. It
// isn't safe for concurrent use.
type Failures struct {
	first map[string]error
	count map[string]int
	order []string
}

// maxFailures bounds the errors that are counted separately.
const maxFailures = 20

// Add takes an error; nil is none.
func (f *Failures) Add(err error) {
	if err == nil {
		return
	}
	if f.first == nil {
		f.first, f.count = make(map[string]error), make(map[string]int)
	}
	text := err.Error()
	if f.count[text]++; f.count[text] == 1 && len(f.order) < maxFailures {
		f.first[text] = err
		f.order = append(f.order, text)
	}
}

// Err joins them, each once, with their number.
func (f *Failures) Err() error {
	var all []error
	for _, text := range f.order {
		err := f.first[text]
		if n := f.count[text]; n > 1 {
			err = fmt.Errorf("%w (%d times)", err, n)
		}
		all = append(all, err)
	}
	if rest := len(f.count) - len(f.order); rest > 0 {
		all = append(all, fmt.Errorf("and %d other kinds of errors", rest))
	}
	return errors.Join(all...)
}
