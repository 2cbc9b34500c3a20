package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Sizes is a distribution of sizes in octets.
type Sizes struct {
	form string // "fixed", "uniform", "lognormal"
	a, b float64
}

// maxSize bounds one message, whatever a distribution says.
const maxSize = 1 << 30

// ParseSizes reads "4096", "4k", "uniform:1k-10k" or "lognormal:4k,2": a median
// and the factor that one standard deviation is away from it. k, m and g are
// powers of 1024.
func ParseSizes(s string) (Sizes, error) {
	form, rest, ok := strings.Cut(s, ":")
	var err error
	d := Sizes{form: form}
	switch {
	case !ok:
		d.form = "fixed"
		d.a, err = octets(s)
	case form == "uniform":
		low, high, _ := strings.Cut(rest, "-")
		if d.a, err = octets(low); err == nil {
			d.b, err = octets(high)
		}
		if err == nil && d.b < d.a {
			err = fmt.Errorf("%s is less than %s", high, low)
		}
	case form == "lognormal":
		median, factor, _ := strings.Cut(rest, ",")
		if d.a, err = octets(median); err == nil {
			d.b, err = strconv.ParseFloat(factor, 64)
		}
		if err == nil && !(d.b >= 1) {
			err = fmt.Errorf("invalid factor %q: expected 1 or more", factor)
		}
	default:
		err = fmt.Errorf("unknown distribution %q", form)
	}
	if err != nil {
		return d, fmt.Errorf("size %q: %w (give 4096, 4k, uniform:1k-10k or lognormal:4k,2)", s, err)
	}
	return d, nil
}

// ParseOctets reads "4096", "4k", "64m" or "1g", which is the most.
func ParseOctets(s string) (int64, error) {
	n, err := octets(s)
	return int64(n), err
}

func octets(s string) (float64, error) {
	number, unit := s, 1.0
	if s != "" {
		if power := strings.IndexByte("kmg", s[len(s)-1]|0x20); power >= 0 {
			number, unit = s[:len(s)-1], math.Pow(1024, float64(power+1))
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0 && n*unit <= maxSize) {
		return 0, fmt.Errorf("invalid size %q: expected octets, up to 1g", s)
	}
	return n * unit, nil
}

// Draw takes one size.
func (d Sizes) Draw(random *rand.Rand) int {
	switch d.form {
	case "uniform":
		return int(d.a) + random.IntN(int(d.b-d.a)+1)
	case "lognormal":
		return int(min(d.a*math.Exp(random.NormFloat64()*math.Log(d.b)), maxSize))
	}
	return int(d.a)
}
