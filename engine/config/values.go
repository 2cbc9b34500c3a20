package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// number is a count, a size or a duration.
type number[T ~int | ~int64] struct {
	p        *T
	min, max T
	unit     unit
}

// unit is how a number is written.
type unit struct {
	name   string
	read   func(string) (int64, error)
	write  func(int64) string // as it is written
	quoted bool               // a string in TOML
}

var (
	countUnit    = unit{"integer", readCount, func(n int64) string { return strconv.FormatInt(n, 10) }, false}
	octetsUnit   = unit{"size", readOctets, writeOctets, true}
	durationUnit = unit{"duration", readDuration, writeDuration, true}
	daysUnit     = unit{"duration", readDuration, writeDays, true}
)

func count(name string, p *int, initial, min, max int) *Key {
	*p = initial
	return &Key{Name: name, value: &number[int]{p, min, max, countUnit}}
}

func octets(name string, p *int64, initial, min, max int64) *Key {
	*p = initial
	return &Key{Name: name, value: &number[int64]{p, min, max, octetsUnit}}
}

func (n *number[T]) kind() string { return n.unit.name }

func (n *number[T]) allowed() string {
	return n.unit.write(int64(n.min)) + " to " + n.unit.write(int64(n.max))
}

func (n *number[T]) String() string {
	s := n.unit.write(int64(*n.p))
	if n.unit.quoted {
		return strconv.Quote(s)
	}
	return s
}

func (n *number[T]) copy(from value) { *n.p = *from.(*number[T]).p }

func (n *number[T]) set(raw any) error {
	switch v := raw.(type) {
	case string:
		return n.parse(v)
	case int64:
		if n.unit.name == durationUnit.name && v != 0 {
			return errors.New(`a duration needs a unit: "30s", "5m"`)
		}
		return n.put(v)
	}
	return fmt.Errorf("%s is not %s", tomlWord(raw), article(n.unit.name))
}

func (n *number[T]) parse(text string) error {
	v, err := n.unit.read(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	return n.put(v)
}

func (n *number[T]) put(v int64) error {
	if v < int64(n.min) || v > int64(n.max) {
		return fmt.Errorf("%s is out of bounds", n.unit.write(v))
	}
	*n.p = T(v)
	return nil
}

func readCount(s string) (int64, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not an integer", s)
	}
	return v, nil
}

// sizes are the units of octets, larger ones first, powers of 1024 before powers of 1000.
var sizes = []struct {
	name   string
	octets int64
}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// ParseOctets reads a size as the configuration has it: "50MiB".
func ParseOctets(s string) (int64, error) { return readOctets(s) }

// FormatOctets writes what ParseOctets reads.
func FormatOctets(n int64) string { return writeOctets(n) }

func readOctets(s string) (int64, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	factor := int64(0)
	for _, size := range sizes {
		if strings.EqualFold(size.name, s[len(digits):]) || digits == s {
			factor = size.octets
		}
		if factor != 0 && digits != s {
			break
		}
	}
	v, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || factor == 0 || v > math.MaxInt64/factor || v < math.MinInt64/factor {
		return 0, fmt.Errorf("%q is not a size: octets, or a number with KiB, MiB, GiB, kB, MB or GB", s)
	}
	return v * factor, nil
}

func writeOctets(n int64) string {
	for _, size := range sizes[:3] {
		if n != 0 && n%size.octets == 0 {
			return strconv.FormatInt(n/size.octets, 10) + size.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// words is a string that check accepts and brings into its form.
type words struct {
	p     *string
	check func(string) (string, error)
	what  string
}

func text(name string, p *string, initial string, check func(string) (string, error), what string) *Key {
	*p = initial
	return &Key{Name: name, value: &words{p, check, what}}
}

func (w *words) kind() string    { return "string" }
func (w *words) allowed() string { return w.what }
func (w *words) String() string  { return strconv.Quote(*w.p) }

func (w *words) copy(from value) { *w.p = *from.(*words).p }

func (w *words) set(raw any) error {
	s, ok := raw.(string)
	if !ok {
		return fmt.Errorf("%s is not a string", tomlWord(raw))
	}
	return w.parse(s)
}

func (w *words) parse(s string) error {
	s, err := w.check(s)
	if err != nil {
		return err
	}
	*w.p = s
	return nil
}

// items is a list.
type items[T any] struct {
	p      *[]T
	read   func(string) (T, error)
	write  func(T) string
	what   string
	byFlag bool // the flag was given: what follows is appended
}

func list[T any](name string, p *[]T, initial []T, read func(string) (T, error), write func(T) string, what string) *Key {
	*p = initial
	return &Key{Name: name, value: &items[T]{p, read, write, what, false}}
}

func (l *items[T]) kind() string    { return "list" }
func (l *items[T]) allowed() string { return "a list of " + l.what }

func (l *items[T]) String() string {
	var quoted []string
	for _, v := range *l.p {
		quoted = append(quoted, strconv.Quote(l.write(v)))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (l *items[T]) copy(from value) { *l.p = slices.Clone(*from.(*items[T]).p) }

func (l *items[T]) set(raw any) error {
	if s, ok := raw.(string); ok {
		raw = []any{s}
	}
	array, ok := raw.([]any)
	if !ok {
		return fmt.Errorf("%s is not a list", tomlWord(raw))
	}
	vs := []T{}
	for _, one := range array {
		s, ok := one.(string)
		if !ok {
			return fmt.Errorf("%s in the list is not a string", tomlWord(one))
		}
		v, err := l.read(s)
		if err != nil {
			return err
		}
		vs = append(vs, v)
	}
	*l.p = vs
	return nil
}

func (l *items[T]) parse(text string) error {
	v, err := l.read(text)
	if err != nil {
		return err
	}
	if !l.byFlag {
		*l.p, l.byFlag = nil, true
	}
	*l.p = append(*l.p, v)
	return nil
}

// oneOf is a word out of few.
type oneOf[T ~string] struct {
	p    *T
	from []T
}

// choice makes a key of the words; the first is the default.
func choice[T ~string](name string, p *T, from ...T) *Key {
	*p = from[0]
	return &Key{Name: name, value: &oneOf[T]{p, from}}
}

func (o *oneOf[T]) kind() string   { return "word" }
func (o *oneOf[T]) String() string { return strconv.Quote(string(*o.p)) }

func (o *oneOf[T]) allowed() string {
	var all []string
	for _, w := range o.from {
		all = append(all, strconv.Quote(string(w)))
	}
	return strings.Join(all, " or ")
}

func (o *oneOf[T]) copy(from value) { *o.p = *from.(*oneOf[T]).p }

func (o *oneOf[T]) set(raw any) error {
	s, ok := raw.(string)
	if !ok {
		return fmt.Errorf("%s is not a string", tomlWord(raw))
	}
	return o.parse(s)
}

func (o *oneOf[T]) parse(text string) error {
	if !slices.Contains(o.from, T(text)) {
		return fmt.Errorf("unknown value %q", text)
	}
	*o.p = T(text)
	return nil
}

// word makes a key of a value that is written as a word, but kept as another type.
func word[T any](name string, p *T, initial T, read func(string) (T, error), write func(T) string, what string) *Key {
	*p = initial
	return &Key{Name: name, value: &worded[T]{p, read, write, what}}
}

type worded[T any] struct {
	p     *T
	read  func(string) (T, error)
	write func(T) string
	what  string
}

func (w *worded[T]) kind() string    { return "word" }
func (w *worded[T]) allowed() string { return w.what }
func (w *worded[T]) String() string  { return strconv.Quote(w.write(*w.p)) }

func (w *worded[T]) copy(from value) { *w.p = *from.(*worded[T]).p }

func (w *worded[T]) set(raw any) error {
	s, ok := raw.(string)
	if !ok {
		return fmt.Errorf("%s is not a string", tomlWord(raw))
	}
	return w.parse(s)
}

func (w *worded[T]) parse(text string) error {
	v, err := w.read(text)
	if err != nil {
		return err
	}
	*w.p = v
	return nil
}

// logLevel is a level of log/slog.
type logLevel struct{ p *slog.Level }

func level(name string, p *slog.Level, initial slog.Level) *Key {
	*p = initial
	return &Key{Name: name, value: logLevel{p}}
}

func (l logLevel) kind() string    { return "word" }
func (l logLevel) allowed() string { return `"debug", "info", "warn" or "error"` }
func (l logLevel) String() string  { return strconv.Quote(strings.ToLower(l.p.String())) }

func (l logLevel) copy(from value) { *l.p = *from.(logLevel).p }

func (l logLevel) set(raw any) error {
	s, ok := raw.(string)
	if !ok {
		return fmt.Errorf("%s is not a string", tomlWord(raw))
	}
	return l.parse(s)
}

func (l logLevel) parse(text string) error {
	if l.p.UnmarshalText([]byte(text)) != nil {
		return fmt.Errorf("unknown level %q", text)
	}
	return nil
}

// truth is a boolean.
type truth struct{ p *bool }

func boolean(name string, p *bool, initial bool) *Key {
	*p = initial
	return &Key{Name: name, value: truth{p}}
}

func (t truth) kind() string    { return "boolean" }
func (t truth) allowed() string { return "true or false" }
func (t truth) String() string  { return strconv.FormatBool(*t.p) }

func (t truth) copy(from value) { *t.p = *from.(truth).p }

func (t truth) set(raw any) error {
	b, ok := raw.(bool)
	if !ok {
		return fmt.Errorf("%s is not a boolean", tomlWord(raw))
	}
	*t.p = b
	return nil
}

func (t truth) parse(text string) error {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("%q is not a boolean", text)
	}
	*t.p = b
	return nil
}

func notEmpty(s string) (string, error) {
	if s == "" {
		return "", errors.New("empty value")
	}
	return s, nil
}

func sameString(s string) string { return s }

func hostPort(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not HOST:PORT", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q: the port is not a number from 0 to 65535", s)
	}
	return s, nil
}

// smtpListener reads an address and, after blanks, what it does differently.
func smtpListener(s string) (l SMTPListener, err error) {
	addr, own, _ := strings.Cut(s, " ")
	if l.Addr, err = hostPort(addr); err != nil {
		return l, err
	}
	for word := range strings.FieldsSeq(own) {
		switch word {
		case "bare_lf=reject", "bare_lf=normalize":
			l.BareLF = BareLF(strings.TrimPrefix(word, "bare_lf="))
		case "auth=required", "auth=off":
			l.Auth = ListenerAuth(strings.TrimPrefix(word, "auth="))
		default:
			return l, fmt.Errorf("%q: unknown option; an address may have bare_lf=reject or bare_lf=normalize, and auth=required or auth=off", s)
		}
	}
	return l, nil
}

// String is the listener as smtpListener reads it.
func (l SMTPListener) String() string {
	s := l.Addr
	if l.BareLF != "" {
		s += " bare_lf=" + string(l.BareLF)
	}
	if l.Auth != "" {
		s += " auth=" + string(l.Auth)
	}
	return s
}

// network reads a prefix, or an address as a network of one.
func network(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network", s)
	}
	return p.Masked(), nil
}

// tomlWord shows a value in an error.
func tomlWord(raw any) string {
	switch v := raw.(type) {
	case string:
		return strconv.Quote(v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return fmt.Sprintf("a %T", raw)
}

func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}
