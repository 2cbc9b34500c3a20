package transcript

import (
	"fmt"
	"strconv"
	"strings"
)

// step is one thing that happens to the machine, with the lines that tell it.
type step struct {
	kind  byte     // 'P' for the peer's octets, 'A', 'T', or 0: the greeting
	lines []string // the source lines as they are, with comments and blanks before them
	input []byte   // for 'P'
	text  string   // for 'A'
}

// script is a parsed transcript. The first step is the greeting.
type script struct {
	roles    cast
	settings map[string]string
	steps    []*step
	tail     []string // comments and blank lines after the last step
}

// cast has the tags of the lines that the peer sends and that the machine sends.
type cast struct{ peer, machine string }

var (
	serverPlays = cast{peer: "C", machine: "S"}
	clientPlays = cast{peer: "S", machine: "C"}
)

// parse reads a transcript. The machine's lines and E: lines are left out: they
// are compared, or written again, as text.
func parse(roles cast, text string) (*script, error) {
	p := parser{script: script{roles: roles, settings: map[string]string{}, steps: []*step{{}}}}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	p.tail = p.before
	return &p.script, nil
}

type parser struct {
	script
	before []string // lines that go before the next step
	burst  *step    // takes more lines of the peer
}

func (p *parser) line(line string) error {
	tag, rest, _ := strings.Cut(line, ":")
	rest = strings.TrimPrefix(rest, " ")
	switch {
	case strings.HasPrefix(line, "#"):
		p.before = append(p.before, line)
		return nil
	case tag == p.roles.peer:
		return p.peer(line, rest)
	}
	p.burst = nil
	switch {
	case line == "":
		p.before = append(p.before, line)
	case strings.HasPrefix(line, "set "):
		return p.set(line)
	case tag == "A":
		p.add(&step{kind: 'A', text: rest}, line)
	case tag == "T":
		p.add(&step{kind: 'T'}, line)
	case tag == p.roles.machine, tag == "E":
	default:
		return fmt.Errorf("%q: neither #, set nor one of C: A: T: S: E: begins the line", line)
	}
	return nil
}

// set keeps a setting, with the greeting, which it configures.
func (p *parser) set(line string) error {
	if len(p.steps) > 1 {
		return fmt.Errorf("%q: settings come before the first step", line)
	}
	key, value, _ := strings.Cut(strings.TrimPrefix(line, "set "), " ")
	p.settings[key] = value
	greeting := p.steps[0]
	greeting.lines = append(append(greeting.lines, p.before...), line)
	p.before = nil
	return nil
}

func (p *parser) peer(line, rest string) error {
	input, err := unescape(rest)
	if err != nil {
		return err
	}
	if p.burst == nil {
		p.burst = &step{kind: 'P'}
		p.add(p.burst, line)
	} else {
		p.burst.lines = append(append(p.burst.lines, p.before...), line)
		p.before = nil
	}
	p.burst.input = append(p.burst.input, input...)
	return nil
}

// add puts s after the steps so far. Comments before the first step belong to
// the greeting, so that they stay at the head of the file.
func (p *parser) add(s *step, line string) {
	if len(p.steps) == 1 {
		greeting := p.steps[0]
		greeting.lines = append(greeting.lines, p.before...)
		p.before = nil
	}
	s.lines = append(p.before, line)
	p.before = nil
	p.steps = append(p.steps, s)
}

// unescape turns the text of a peer's line into octets, with its CRLF.
func unescape(s string) ([]byte, error) {
	out, bare, err := unescapeText(nil, s)
	if err == nil && !bare {
		out = append(out, "\r\n"...)
	}
	return out, err
}

// unescapeText appends the octets that s means; bare: s ends with \c.
func unescapeText(out []byte, s string) (_ []byte, bare bool, err error) {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		rest := s[i+1:]
		switch {
		case rest == "c":
			return out, true, nil
		case strings.HasPrefix(rest, "r"):
			out = append(out, '\r')
		case strings.HasPrefix(rest, "n"):
			out = append(out, '\n')
		case strings.HasPrefix(rest, "t"):
			out = append(out, '\t')
		case strings.HasPrefix(rest, `\`):
			out = append(out, '\\')
		case len(rest) > 2 && rest[0] == 'x':
			c, err := strconv.ParseUint(rest[1:3], 16, 8)
			if err != nil {
				return nil, false, fmt.Errorf("%q: \\x needs two hexadecimal digits", s)
			}
			out = append(out, byte(c))
			i += 2
		case strings.HasPrefix(rest, "{"):
			end := strings.IndexByte(rest, '}')
			count, text, ok := strings.Cut(rest[1:max(end, 1)], "*")
			n, err := strconv.Atoi(count)
			if end < 0 || !ok || err != nil || n < 0 {
				return nil, false, fmt.Errorf("%q: want \\{600*text}", s)
			}
			one, _, err := unescapeText(nil, text)
			if err != nil {
				return nil, false, err
			}
			for range n {
				out = append(out, one...)
			}
			i += end
		default:
			return nil, false, fmt.Errorf("%q: unknown escape", s)
		}
		i++
	}
	return out, false, nil
}
