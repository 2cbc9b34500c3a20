package transcript

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// toy is a machine with the faults that the player must find. It answers each
// line with the line; "ask x" asks, and "end" closes; "body" lines are effects.
type toy struct {
	keepsBorrow bool // the line of a question is kept as a slice of the input
	losesCR     bool // a CR that ends the input is taken for consumed
	readsOn     bool // input after a question is read
	scribbles   bool // the input is changed
	asked       []byte
	open        bool
	reply       []byte
	effects     []string
	closed      bool
}

func (m *toy) Greet() { m.say([]byte("hello")) }

func (m *toy) say(line []byte) {
	m.reply = append(append(m.reply, line...), "\r\n"...)
}

func (m *toy) Feed(in []byte) (n int) {
	if m.scribbles {
		in[0] |= 0x20
	}
	for !m.closed && (!m.open || m.readsOn) {
		rest := in[n:]
		i := bytes.Index(rest, []byte("\r\n"))
		if i < 0 {
			if m.losesCR && len(rest) > 0 && rest[len(rest)-1] == '\r' {
				return len(in)
			}
			return n
		}
		n += i + 2
		m.line(rest[:i])
	}
	return n
}

func (m *toy) line(line []byte) {
	switch {
	case bytes.HasPrefix(line, []byte("ask ")):
		m.open, m.asked = true, line[4:]
		if !m.keepsBorrow {
			m.asked = bytes.Clone(m.asked)
		}
		m.effects = append(m.effects, "question "+string(m.asked))
	case bytes.HasPrefix(line, []byte("body ")):
		m.effects = append(m.effects, Body(line[5:]))
	case string(line) == "end":
		m.closed = true
	default:
		m.say(line)
	}
}

func (m *toy) Answer(text string) error {
	if !m.open {
		return errors.New("no question is open")
	}
	m.open = false
	m.say([]byte(text + " " + string(m.asked)))
	return nil
}

func (m *toy) TimeOut() { m.say([]byte("too late")); m.closed = true }

func (m *toy) Take() (reply []byte, effects []string, closed bool) {
	reply, effects, closed = m.reply, m.effects, m.closed
	m.reply, m.effects = nil, nil
	return reply, effects, closed
}

const dialogue = `# The toy: all kinds of lines.
set tone polite

S: hello
C: one\r\ntwo
C: wi\c
S: one
S: two

C: th \\ blank\x20
S: with \\ blank\x20
# A question parts a burst.
C: ask why
C: after\{3*\x2e}
C: ü\xff
E: question why
A: because
S: because why
S: after...
S: ü\xff
C: body x
C: body y\x20
C: body z
E: body xy z
T:
S: too late
E: close
# the end
`

func open(m toy) func(map[string]string) Machine {
	return func(map[string]string) Machine { n := m; return &n }
}

func TestPlay_Success(t *testing.T) {
	got, err := verify(serverPlays, dialogue, dialogue, open(toy{}))
	if err != nil {
		t.Fatal(err)
	}
	if got != dialogue {
		t.Error(difference(dialogue, got))
	}
}

// TestPlay_Rewrite: what was written for S: and E: does not count with -rewrite.
func TestPlay_Rewrite(t *testing.T) {
	var byHand []string
	for line := range strings.Lines(dialogue) {
		if !strings.HasPrefix(line, "S:") && !strings.HasPrefix(line, "E:") {
			byHand = append(byHand, line)
		}
	}
	// A burst that has no effects yet is ended by a blank line only.
	text := strings.Join(byHand, "")
	got, err := verify(serverPlays, text, "", open(toy{}))
	if err != nil {
		t.Fatal(err)
	}
	again, err := verify(serverPlays, got, got, open(toy{}))
	if err != nil || again != got {
		t.Errorf("what was written does not play: %v", err)
	}
}

// TestPlay_Client: the tags change places, and nothing else.
func TestPlay_Client(t *testing.T) {
	swapped := ""
	for line := range strings.Lines(dialogue) {
		switch {
		case strings.HasPrefix(line, "C:"):
			line = "S:" + line[2:]
		case strings.HasPrefix(line, "S:"):
			line = "C:" + line[2:]
		}
		swapped += line
	}
	got, err := verify(clientPlays, swapped, swapped, open(toy{}))
	if err != nil || got != swapped {
		t.Errorf("%v\n%s", err, difference(swapped, got))
	}
}

func TestPlay_Failure(t *testing.T) {
	f := func(name string, m toy, text, want string) {
		t.Helper()
		_, err := verify(serverPlays, text, text, open(m))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
	}
	f("a kept borrow", toy{keepsBorrow: true}, dialogue, `because \xdb\xdb\xdb`)
	f("a lost CR", toy{losesCR: true}, dialogue, "cut every")
	f("reading behind a question", toy{readsOn: true}, dialogue, "played whole")
	f("changed input", toy{scribbles: true}, "S: hello\nC: X\nS: X\n", "was changed")
	f("another reply", toy{}, strings.Replace(dialogue, "S: two", "S: too", 1), "differs at line 8")
	f("a missing reply", toy{}, strings.Replace(dialogue, "S: two\n", "", 1), "differs at line 8")
	f("an answer without a question", toy{}, "S: hello\nA: yes\n", "no question is open")
	f("input after the end", toy{}, "S: hello\nC: end\nE: close\nC: more\n", "has closed")
	f("a line without a tag", toy{}, "hello\n", "line 1")
	f("a late setting", toy{}, "S: hello\nC: x\nS: x\nset a b\n", "before the first step")
	f("an unknown escape", toy{}, `C: \q`, "unknown escape")
	f("half an octet", toy{}, `C: \x1g`, "hexadecimal")
}

func TestUnescape(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got, err := unescape(in)
		if err != nil || string(got) != want {
			t.Errorf("unescape(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	f(``, "\r\n")
	f(`a`, "a\r\n")
	f(`a\c`, "a")
	f(`a\r\c`, "a\r")
	f(`\\c`, "\\c\r\n")
	f(`\x00\xff\t\n`, "\x00\xff\t\n\r\n")
	f(`a\{3*xy}b`, "axyxyxyb\r\n")
	f(`\{2*\x2e\r\n}\c`, ".\r\n.\r\n")
}
