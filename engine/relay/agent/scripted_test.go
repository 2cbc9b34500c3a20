package agent

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// scripted is a mail host that answers by rules, without TLS.
type scripted struct {
	l     net.Listener
	rules map[string]string // by verb, or verb and an argument's part: "RCPT bob"; "hang up" closes

	mu       sync.Mutex
	mail     []string // under mu: the commands of each message that was taken, with its text
	sessions int      // under mu
	asked    []string // under mu: the MAIL, RCPT and DATA commands, and ".", whatever was answered
}

// startScripted runs a host at HOST:PORT until the test ends. A rule is a reply, "hang
// up", or "silence".
func startScripted(t testing.TB, addr string, rules map[string]string) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h := &scripted{l: l, rules: rules}
	var running sync.WaitGroup
	done := make(chan struct{})
	t.Cleanup(func() {
		close(done)
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(hang))
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					select {
					case <-done:
						c.Close()
					case <-stop:
					}
				}()
				h.serve(c)
			})
		}
	})
	return h
}

// rule finds the answer to a command.
func (h *scripted) rule(line string) (string, bool) {
	verb, rest, _ := strings.Cut(line, " ")
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, reply := range h.rules {
		on, part, _ := strings.Cut(key, " ")
		if on == verb && strings.Contains(rest, part) {
			return reply, true
		}
	}
	return "", false
}

func (h *scripted) serve(c net.Conn) {
	h.mu.Lock()
	h.sessions++
	h.mu.Unlock()
	r := bufio.NewReader(c)
	say := func(s string) { _, _ = io.WriteString(c, s+"\r\n") }
	// answer says what a rule has for a command; false: the session is over.
	answer := func(line, usual string) bool {
		reply, ok := h.rule(line)
		switch {
		case !ok:
			say(usual)
		case reply == "hang up":
			return false
		case reply == "silence":
			_, _ = io.Copy(io.Discard, r)
			return false
		default:
			say(reply)
			return true
		}
		return true
	}
	if !answer("GREETING", "220 mx ESMTP") {
		return
	}
	var commands []string
	rcpts := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, _, _ := strings.Cut(line, " ")
		usual := "250 ok"
		switch verb {
		case "MAIL":
			commands, rcpts = nil, 0
		case "EHLO":
			usual = "250-mx\r\n250-8BITMIME\r\n250 PIPELINING"
		case "DATA":
			usual = "354 go"
			if rcpts == 0 {
				usual = "503 no recipients"
			}
		case "QUIT":
			say("221 bye")
			return
		}
		if verb == "MAIL" || verb == "RCPT" || verb == "DATA" {
			h.mu.Lock()
			h.asked = append(h.asked, line)
			h.mu.Unlock()
		}
		reply, ruled := h.rule(line)
		if !answer(line, usual) {
			return
		}
		if ruled && !strings.HasPrefix(reply, "2") && !strings.HasPrefix(reply, "354") || usual == "503 no recipients" {
			continue
		}
		commands = append(commands, line)
		if verb == "RCPT" {
			rcpts++
		}
		if verb != "DATA" {
			continue
		}
		text := ""
		for {
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
			if line == ".\r\n" {
				break
			}
			text += line
		}
		h.mu.Lock()
		h.asked = append(h.asked, ".")
		h.mu.Unlock()
		reply, ruled = h.rule(".")
		if !ruled || strings.HasPrefix(reply, "2") {
			h.mu.Lock()
			h.mail = append(h.mail, strings.Join(commands[max(0, len(commands)-2-rcpts):], "\n")+"\n"+text)
			h.mu.Unlock()
		}
		if !answer(".", "250 2.0.0 taken") {
			return
		}
	}
}

// taken is how many messages were taken, and the commands and text of them all.
func (h *scripted) taken() (int, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.mail), strings.Join(h.mail, "\n")
}

func (h *scripted) commands() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.asked, "\n")
}

func (h *scripted) connections() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions
}
