package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"postrider/bench"
)

// fifty opens 50 sessions, ten in each of five states.
func fifty(t *testing.T, s *server) (all []net.Conn) {
	t.Helper()
	open := func(addr string, steps ...string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		buf := make([]byte, 4096)
		for i := 0; ; i++ {
			if n, err := c.Read(buf); err != nil || n == 0 {
				t.Fatal(err)
			}
			if i == len(steps) {
				break
			}
			fmt.Fprintf(c, "%s\r\n", steps[i])
		}
		all = append(all, c)
	}
	for range 10 {
		open(s.smtp[0])
		open(s.smtp[0], "EHLO client.example")
		open(s.smtp[0], "EHLO client.example", "MAIL FROM:<a@client.example>")
		open(s.smtp[0], "EHLO client.example", "MAIL FROM:<a@client.example>", "RCPT TO:<reader@localhost>", "DATA")
		open(s.pop3[0], "USER reader")
	}
	return all
}

// surveyed is what "who --json" prints.
type surveyed struct {
	Total    int
	Sessions []struct {
		ID              uint64
		Protocol, State string
		Account         string
	}
}

func (s *server) who(args ...string) (v surveyed) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.run(append([]string{"who", "--json"}, args...)...)), &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// A server has 50 sessions in five states, and one that has logged in. The commands status,
// "who" and top show them, and kick ends the sessions that it is told to end.
func TestLookInside(t *testing.T) {
	s := newServer(t, "reader")
	s.start()
	s.send("reader", []byte("Subject: one\r\n\r\ntext\r\n"))
	fifty(t, s)
	in, err := bench.Login(s.pop3[0], "reader", password("reader"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	states := map[string]int{}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // the session of send goes
		v := s.who()
		if v.Total == 51 || time.Now().After(end) {
			for _, one := range v.Sessions {
				states[one.Protocol+" "+one.State]++
			}
			break
		}
	}
	for state, want := range map[string]int{"smtp CONNECT": 10, "smtp EHLO": 10, "smtp MAIL": 10, "smtp DATA": 10, "pop3 AUTHORIZATION": 10, "pop3 TRANSACTION": 1} {
		if states[state] != want {
			t.Errorf("%d sessions are in %s, want %d", states[state], state, want)
		}
	}
	wants := func(out string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("no %q in\n%s", text, out)
			}
		}
		for line := range strings.Lines(out) {
			if len(line) > 81 {
				t.Errorf("a line of %d columns: %s", len(line), line)
			}
		}
	}
	wants(s.run("status"), "health       ok", "smtp 40: ", "pop3 11: AUTHORIZATION 10, TRANSACTION 1", "smtp "+s.smtp[0], "connections  51 of", "taken 1 (")
	wants(s.run("who", "--account", "reader"), "ID  PROTO", "TRANSACTION", "reader@localhost")
	wants(s.run("top", "--count", "2", "--interval", "200ms", "--protocol", "pop3"), "known after the next look", "taken 0.0 (0 B)", "AUTHORIZATION")
	wants(s.run("who", "--limit", "5"), "46 sessions more, older ones")
	var st struct {
		Health  string
		Memory  []any
		Queue   struct{ Counted bool }
		Store   struct{ Figures map[string]float64 }
		Totals  map[string]int64
		Limits  []any
		Version string
	}
	if err := json.Unmarshal([]byte(s.run("status", "--json")), &st); err != nil || st.Health != "ok" || len(st.Memory) != 4 || !st.Queue.Counted ||
		len(st.Store.Figures) == 0 || st.Totals["messages_total"] != 1 {
		t.Errorf("%+v, %v", st, err)
	}

	first := fmt.Sprint(s.who().Sessions[0].ID)
	if out, err := exec.Command(binary, "__completeNoDesc", "kick", "--data", s.data, first).Output(); err != nil || !strings.HasPrefix(string(out), first+"\n") {
		t.Errorf("a shell completes %q: %v", out, err)
	}
	wants(s.run("kick", first), "1 session told to end")
	wants(s.run("kick", "--protocol", "smtp", "--client", "127.0.0.0/8", "--now"), "sessions cut off")
	wants(s.run("kick", "--account", "reader@localhost"), "1 session told to end")
	if err := in.Quit(); err == nil {
		t.Error("the session of the account goes on")
	}
	for end := time.Now().Add(patience); s.who("--protocol", "smtp").Total > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("sessions that were cut off are still there")
		}
	}
	if code, out := s.fails("kick", "99999999"); code != 66 || !strings.Contains(out, "no open session") {
		t.Errorf("kick of a session that is not there: %d, %s", code, out)
	}
	if log := s.log.String(); !strings.Contains(log, "sessions ended: by=") || !strings.Contains(log, "account=reader@localhost") {
		t.Error("the acts are not in the log")
	}
	s.terminate()
}

// A trace shows a dialogue with another program, and ends by itself.
func TestTraceCommand(t *testing.T) {
	s := newServer(t, "reader")
	s.start()
	cmd := exec.Command(binary, "trace", "--client", "127.0.0.1", "--for", "10m", "--data", s.data)
	out := new(tail)
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); !strings.Contains(s.log.String(), "trace begun"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the trace does not begin")
		}
	}
	s.send("reader", []byte("Subject: one\r\n\r\nsome text\r\n"))
	login(t, s).Quit()
	for end := time.Now().Add(patience); strings.Count(out.String(), "=== the session has ended") < 2 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"=== smtp session of 127.0.0.1, state CONNECT", "<-  220 mx.localhost", " -> MAIL FROM:", " -> Subject: one", " octets more)", "<-  250 2.0.0 ", " -> PASS (not shown)", "=== the session has ended"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(out.String(), password("reader")) || strings.Contains(out.String(), "some text") {
		t.Error("the trace shows a password or the text of a message")
	}
	if t.Failed() {
		t.Log(out.String())
	}
	s.run("trace", "--protocol", "pop3", "--for", "100ms") // it ends by itself
	s.terminate()
}
