package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

func duration(name string, p *time.Duration, initial, min, max time.Duration) *Key {
	*p = initial
	return &Key{Name: name, value: &number[time.Duration]{p, min, max, durationUnit}}
}

// days is duration for what is written in days: "7d".
func days(name string, p *time.Duration, initial, max time.Duration) *Key {
	*p = initial
	return &Key{Name: name, value: &number[time.Duration]{p, 0, max, daysUnit}}
}

func readDuration(s string) (int64, error) {
	v, err := ParseDuration(s)
	return int64(v), err
}

// ParseDuration reads a duration as the configuration has it: "30s", "4h", "7d".
func ParseDuration(s string) (time.Duration, error) {
	if number, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			return time.Duration(n) * day, nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: numbers with ms, s, m or h, or days with d", s)
	}
	return v, nil
}

// FormatDays writes a duration in days if it is some: "7d".
func FormatDays(d time.Duration) string { return writeDays(int64(d)) }

func writeDays(n int64) string {
	if n != 0 && n%int64(day) == 0 {
		return strconv.FormatInt(n/int64(day), 10) + "d"
	}
	return writeDuration(n)
}

// writeDuration leaves out the zeros that time.Duration writes: "5m", not "5m0s".
func writeDuration(n int64) string {
	s := time.Duration(n).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
