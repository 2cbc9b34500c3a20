package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The operator's hands on the real queue, while the server runs and while it
// doesn't. All of it is held, so that no attempt comes between.
func TestQueueCommands(t *testing.T) {
	s := newServer(t, "reader")
	sendmail, mailq := s.named("sendmail"), s.named("mailq")
	if out := execute(t, nil, mailq); out != "Mail queue is empty\n" {
		t.Errorf("%q", out)
	}
	var ids []string
	for i := range 3 {
		out := execute(t, fmt.Appendf(nil, "Subject: %d\n\n.dot\n", i), sendmail, "-i", "-v", "-f", "boss@localhost", "reader", "a@x.example", "b@x.example", fmt.Sprintf("c@y%d.example", i))
		ids = append(ids, strings.TrimSpace(strings.TrimPrefix(out, "stored as ")))
		if out := s.run("queue", "hold", ids[i]); out != "2 entries held\n" {
			t.Errorf("%q", out)
		}
	}
	look := func() {
		t.Helper()
		list := execute(t, nil, mailq)
		if !strings.HasSuffix(list, "Kbytes in 3 Requests.\n") || strings.Count(list, "! ") != 3 || strings.Count(list, "@x.example") != 6 {
			t.Errorf("%s", list)
		}
		lines := strings.Split(strings.TrimSpace(s.run("queue", "list", "--json", "--to-domain", "y1.example")), "\n")
		var line struct {
			Name       string `json:"queue_name"`
			ID         string `json:"queue_id"`
			Recipients []struct{ Address, Entry string }
		}
		if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || len(lines) != 1 || line.Name != "hold" || line.ID != ids[1] || line.Recipients[0].Entry != ids[1]+"-1" {
			t.Errorf("%v %+v", err, lines)
		}
		if stat := s.run("queue", "stat"); !strings.Contains(stat, "6 entries") || !strings.Contains(stat, "6 held") || !strings.Contains(stat, "TOTAL  9  9") {
			t.Errorf("%s", stat)
		}
		if text := s.run("queue", "cat", "--raw", ids[2]); !strings.HasPrefix(text, "Received: by ") || !strings.HasSuffix(text, "\r\n\r\n.dot\r\n") {
			t.Errorf("%q", text)
		}
		if why := s.run("why", ids[0]); !strings.Contains(why, "held; ") || !strings.Contains(why, "<c@y0.example>") {
			t.Errorf("%s", why)
		}
		if dry := s.run("queue", "delete", "--from", "BOSS@localhost", "--dry-run"); !strings.Contains(dry, "6 entries") {
			t.Errorf("%s", dry)
		}
	}
	look()
	s.start()
	look()
	if out := s.run("queue", "delete", ids[0]+"-0", ids[1]); out != "3 entries deleted\n" {
		t.Errorf("%q", out)
	}
	s.terminate()
	if out := s.run("queue", "delete", "--held", "ALL"); out != "3 entries deleted\n" {
		t.Errorf("%q", out)
	}
	s.check()
	if out := execute(t, nil, mailq); out != "Mail queue is empty\n" {
		t.Errorf("%q", out)
	}
}
