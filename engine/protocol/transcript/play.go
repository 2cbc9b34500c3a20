package transcript

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the machine's lines and the E: lines of the transcripts")

// Machine is a session machine as the player sees it. The test of each machine
// writes the adapter.
type Machine interface {
	// Greet begins the session.
	Greet()
	// Feed gives input, which is overwritten after the Take that follows, and
	// returns how many octets of it were consumed.
	Feed(in []byte) (n int)
	// Answer answers the open question in the words of an A: line. An error, for
	// example that no question is open, fails the test.
	Answer(text string) error
	// TimeOut reports that the peer was silent for too long.
	TimeOut()
	// Take returns what the calls since the last Take brought, and forgets it: the
	// octets of replies, the effects (body octets as made by Body), and whether
	// the connection is to be closed. The player copies reply.
	Take() (reply []byte, effects []string, closed bool)
}

// bodyPrefix marks the effects that are joined before they are compared.
const bodyPrefix = "body "

// Body is the effect that shows octets of a message. It copies run.
func Body(run []byte) string { return bodyPrefix + escapeASCII(run) }

// Play plays each file that matches glob, as a subtest, whole and cut. The
// machine is a server.
func Play(t *testing.T, glob string, open func(t testing.TB, settings map[string]string) Machine) {
	t.Helper()
	play(t, serverPlays, glob, open)
}

// PlayClient is Play for a machine that is a client.
func PlayClient(t *testing.T, glob string, open func(t testing.TB, settings map[string]string) Machine) {
	t.Helper()
	play(t, clientPlays, glob, open)
}

func play(t *testing.T, roles cast, glob string, open func(t testing.TB, settings map[string]string) Machine) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts match %q (%v)", glob, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := string(text)
			if *rewrite {
				want = ""
			}
			got, err := verify(roles, string(text), want, func(settings map[string]string) Machine {
				return open(t, settings)
			})
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if *rewrite && got != string(text) {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// maxCut is the longest piece of the plays that cut the input.
const maxCut = 7

// verify plays text whole and compares with want unless that is empty, then
// plays it cut and compares with the whole play, whose text it returns.
func verify(roles cast, text, want string, open func(settings map[string]string) Machine) (string, error) {
	s, err := parse(roles, text)
	if err != nil {
		return "", err
	}
	whole, err := s.play(open(s.settings), 0)
	if err != nil {
		return "", fmt.Errorf("played whole: %w", err)
	}
	if want != "" && whole != want {
		return "", fmt.Errorf("played whole: %s\n(go test -rewrite writes what comes now)", difference(want, whole))
	}
	for cut := 1; cut <= maxCut; cut++ {
		got, err := s.play(open(s.settings), cut)
		if err == nil && got != whole {
			err = errors.New(difference(whole, got))
		}
		if err != nil {
			return "", fmt.Errorf("cut every %d octets: %w", cut, err)
		}
	}
	return whole, nil
}

// play plays the script on m, with bursts cut every cut octets unless that is 0,
// and returns the transcript with the lines that came.
func (s *script) play(m Machine, cut int) (string, error) {
	p := player{machine: m, tag: s.roles.machine + ":"}
	var text strings.Builder
	for _, step := range s.steps {
		if p.closed && step.kind != 0 {
			return "", fmt.Errorf("%s: the machine has closed", step.lines[len(step.lines)-1])
		}
		if err := p.step(step, cut); err != nil {
			return "", fmt.Errorf("%s: %w", step.lines[len(step.lines)-1], err)
		}
		for _, line := range step.lines {
			text.WriteString(line + "\n")
		}
		p.render(&text)
	}
	for _, line := range s.tail {
		text.WriteString(line + "\n")
	}
	return text.String(), nil
}

// player is the event loop's part: it keeps what the machine has not consumed,
// and gathers what one step brings.
type player struct {
	machine Machine
	tag     string // tag of the lines that the machine sends
	pending []byte
	closed  bool

	reply   []byte
	effects []string
}

func (p *player) step(s *step, cut int) error {
	switch s.kind {
	case 0:
		p.machine.Greet()
		p.take()
		return nil
	case 'A':
		if err := p.machine.Answer(s.text); err != nil {
			return err
		}
		p.take()
		return p.feed()
	case 'T':
		p.machine.TimeOut()
		p.take()
		return nil
	}
	if cut == 0 {
		cut = max(1, len(s.input))
	}
	for from := 0; from < len(s.input); from += cut {
		p.pending = append(p.pending, s.input[from:min(from+cut, len(s.input))]...)
		if err := p.feed(); err != nil {
			return err
		}
	}
	return nil
}

// feed presents the pending input until the machine takes no more of it: it
// wants more, or an answer, or has closed.
func (p *player) feed() error {
	for len(p.pending) > 0 && !p.closed {
		in := append([]byte(nil), p.pending...)
		n := p.machine.Feed(in)
		if n < 0 || n > len(in) {
			return fmt.Errorf("consumed %d of %d octets", n, len(in))
		}
		came := p.take()
		if string(in) != string(p.pending) {
			return errors.New("the input was changed")
		}
		poison(in)
		p.pending = p.pending[n:]
		if n == 0 && !came {
			return nil
		}
	}
	return nil
}

// poison overwrites b with an octet that no transcript has.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}

// take gathers what the machine brought and reports whether there was anything.
func (p *player) take() bool {
	reply, effects, closed := p.machine.Take()
	p.reply = append(p.reply, reply...)
	for _, e := range effects {
		last := len(p.effects) - 1
		if last >= 0 && strings.HasPrefix(e, bodyPrefix) && strings.HasPrefix(p.effects[last], bodyPrefix) {
			p.effects[last] += strings.TrimPrefix(e, bodyPrefix)
			continue
		}
		p.effects = append(p.effects, e)
	}
	p.closed = p.closed || closed
	return len(reply) > 0 || len(effects) > 0 || closed
}
