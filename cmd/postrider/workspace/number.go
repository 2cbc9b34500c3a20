package workspace

import (
	"errors"
	"strconv"

	"github.com/spf13/pflag"
)

// number is the value of a flag: a whole number from 0 on.
type number[T int | int64] struct{ p *T }

// NumberVar adds a flag for a whole number from 0 on: other numbers are refused, whatever the
// command does with them. short is the flag's letter, or "". initial is what *p has without
// the flag, and may be less than 0.
func NumberVar[T int | int64](f *pflag.FlagSet, p *T, name, short string, initial T, help string) {
	*p = initial
	flag := f.VarPF(number[T]{p}, name, short, help)
	if initial <= 0 {
		flag.DefValue = "0" // which pflag does not print
	}
}

// Type implements pflag.Value.
func (number[T]) Type() string { return "int" }

// String implements pflag.Value.
func (n number[T]) String() string {
	if n.p == nil {
		return "0"
	}
	return strconv.FormatInt(int64(*n.p), 10)
}

// Set implements pflag.Value.
func (n number[T]) Set(text string) error {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 || int64(T(v)) != v {
		return errors.New("expected 0 or more")
	}
	*n.p = T(v)
	return nil
}
