package workspace

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"postrider/cmd/sysexits"
)

// maxAge is the longest age that ParseAge reads, in days: what follows would overflow.
const maxAge = 36500

// ParseAge reads a duration in days, "5d", or as Go writes one, "1h30m".
func ParseAge(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		if n, err = strconv.ParseFloat(days, 64); err == nil && !(n <= maxAge) { // NaN too
			return 0, fmt.Errorf("%s: expected at most %dd", s, maxAge)
		}
		d = time.Duration(n * 24 * float64(time.Hour))
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s: expected a duration such as 30m, 4h or 5d", s)
	}
	return d, nil
}

// ReadWords calls f for each word up to the end of in, until f returns an error.
func ReadWords(in io.Reader, f func(word string) error) error {
	scan := bufio.NewScanner(in)
	scan.Split(bufio.ScanWords)
	for scan.Scan() {
		if err := f(scan.Text()); err != nil {
			return err
		}
	}
	return sysexits.IOErr.With(scan.Err())
}
