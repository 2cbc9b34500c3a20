package e2e

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postrider/bench"
	"postrider/engine/edge/dns/dnstest"
)

// event is an event in "why --json", as far as the test reads it.
type event struct {
	Event      string   `json:"event"`
	Door       string   `json:"door"`
	Client     string   `json:"client_address"`
	Login      string   `json:"login"`
	Mechanism  string   `json:"mechanism"`
	Proto      string   `json:"proto"`
	TLS        string   `json:"tls"`
	From       string   `json:"from"`
	Helo       string   `json:"helo"`
	Message    string   `json:"message"`
	By         string   `json:"by"`
	Origin     string   `json:"origin"`
	MessageID  string   `json:"message_id"`
	Attempt    int      `json:"attempt"`
	Dialogue   []string `json:"dialogue"`
	Recipients []struct {
		To, Orig_to, Queued, Relay, Status, DSN, Reason string
	} `json:"recipients"`
	Time, Connected, Mailed, Began, Ended time.Time
}

// told is the history of a message: the kinds of its events, and the events.
func (s *server) told(id string) (kinds string, events []event) {
	s.t.Helper()
	var life struct {
		Events []event `json:"events"`
	}
	if err := json.Unmarshal([]byte(s.run("why", id, "--json")), &life); err != nil {
		s.t.Fatal(err)
	}
	for _, e := range life.Events {
		kinds += e.Event + " "
	}
	return strings.TrimSpace(kinds), life.Events
}

// wantTold wants these events of a message, in the end.
func (s *server) wantTold(id, want string) (events []event) {
	s.t.Helper()
	eventually(s.t, id+" has the events "+want, func() bool {
		var got string
		got, events = s.told(id)
		return got == want
	})
	return events
}

// idOf is the message that a list of the history has last.
func (s *server) idOf(args ...string) string {
	s.t.Helper()
	ids := regexp.MustCompile(`\.\d{3}  (\w{13})  `).FindAllStringSubmatch(s.run(append([]string{"why"}, args...)...), -1)
	if len(ids) == 0 {
		s.t.Fatalf("why %v lists nothing", args)
	}
	return ids[len(ids)-1][1]
}

// "why" tells the life of each message, however it came and wherever it went, also of one
// that was delivered at once.
func TestWhyOfEachMessage(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2")
	hosts[0].behave(manners{
		refuse: func(to string, try int, _ time.Duration) string {
			switch {
			case strings.Contains(to, "later") && try == 1:
				return "450-4.2.1 the box of this user\r\n450 4.2.1 is busy"
			case strings.Contains(to, "never"):
				return "550-5.1.1 no user\r\n550 5.1.1 of this name"
			}
			return ""
		},
		endOfData: func(taken) (string, bool) { return "250-2.0.0 it is\r\n250 2.0.0 queued as 4711", true },
	})
	names := dnstest.Start(t, "far.test. 300 IN A 127.0.0.2")
	s := startRelay(t, names, port, "retry = [\"1s\"]\n[auth]\nplaintext_without_tls = true\n", "writer", "reader")
	s.run("alias", "add", "info", "reader")

	t.Run("local", func(t *testing.T) {
		begin := time.Now().Add(-time.Second)
		id := s.submit(submission{from: "ann@there.test", to: []string{"reader@localhost", "info@localhost"}})
		e := s.wantTold(id, "received")[0]
		if e.Door != "smtp" || e.Client != "127.0.0.1" || e.From != "ann@there.test" || e.MessageID != "<word@localhost>" || e.Helo == "" || len(e.Recipients) != 1 || e.Recipients[0].To != "reader@localhost" {
			t.Errorf("%+v", e)
		}
		if e.Mailed.Before(begin) || e.Began.Before(e.Mailed) || e.Ended.Before(e.Began) || e.Time.Before(e.Ended) || e.Connected.After(e.Time) {
			t.Errorf("%+v", e)
		}
		id = s.submit(submission{from: "> SIZE=100", to: []string{"info@localhost"}})
		if e := s.wantTold(id, "received")[0]; e.From != "" || e.Recipients[0].To != "reader@localhost" || e.Recipients[0].Orig_to != "info@localhost" {
			t.Errorf("%+v", e)
		}
		s.says(`stored; it came by smtp, client unknown\[127.0.0.1\], helo=<[^>]+>, ESMTP\n  from <>, \d+ octets, message-id <word@localhost>\n  connected .*, whole .*, stored .*\n  delivered to the maildrop <reader@localhost> by <info@localhost>\n$`, "why", id)
	})
	t.Run("login", func(t *testing.T) {
		s.submitWithin(t, "writer", "reader@localhost")
		if e := s.wantTold(s.idOf("--from", "writer@localhost"), "received")[0]; e.Login != "writer@localhost" || e.Mechanism != "PLAIN" || e.Proto != "UTF8SMTPSA" || !strings.HasPrefix(e.TLS, "TLSv1.3 with cipher TLS_") {
			t.Errorf("%+v", e)
		}
	})
	t.Run("relay", func(t *testing.T) {
		id := s.submit(submission{from: "writer@localhost", to: []string{"at-once@far.test"}})
		all := s.wantTold(id, "received attempt")
		if q := all[0].Recipients[0]; q.Queued != "at-once@far.test" {
			t.Errorf("%+v", q)
		}
		to := all[1].Recipients[0]
		if to.Status != "sent" || to.DSN != "2.0.0" || !strings.HasPrefix(to.Relay, "far.test[127.0.0.2]:") {
			t.Errorf("%+v", to)
		}
		dialogue := strings.Join(all[1].Dialogue, "\n")
		for _, line := range []string{"<-  220 ", " -> EHLO mx.localhost", " -> MAIL FROM:<writer@localhost>", " -> RCPT TO:<at-once@far.test>", " octets of the message)", "<-  250-2.0.0 it is\n<-  250 2.0.0 queued as 4711"} {
			if !strings.Contains(dialogue, line) {
				t.Errorf("no %q in\n%s", line, dialogue)
			}
		}
		if strings.Contains(dialogue, "Hello there") || strings.Contains(dialogue, "Subject") {
			t.Errorf("the message is in the dialogue:\n%s", dialogue)
		}
	})
	t.Run("deferred", func(t *testing.T) {
		id := s.submit(submission{from: "writer@localhost", to: []string{"later@far.test"}})
		all := s.wantTold(id, "received attempt attempt")
		if a := all[1]; a.Attempt != 1 || a.Recipients[0].Status != "deferred" || !strings.Contains(strings.Join(a.Dialogue, "\n"), "<-  450-4.2.1 the box of this user\n<-  450 4.2.1 is busy") {
			t.Errorf("%+v", a)
		}
		if a := all[2]; a.Attempt != 2 || a.Recipients[0].Status != "sent" {
			t.Errorf("%+v", a)
		}
		if out := s.run("why", id); strings.Count(out, "attempt 1") != 1 || !strings.HasSuffix(out, "It has left the queue.\n") {
			t.Errorf("an attempt is printed twice, or its end is not:\n%s", out)
		}
	})
	t.Run("bounce", func(t *testing.T) {
		id := s.submit(submission{from: "writer@localhost", to: []string{"never@far.test"}})
		all := s.wantTold(id, "received attempt notified")
		if r := all[1].Recipients[0]; r.Status != "bounced" || r.DSN != "5.1.1" {
			t.Errorf("%+v", r)
		}
		if e := s.wantTold(all[2].Message, "received")[0]; e.Door != "notification" || e.Message != id || e.Recipients[0].To != "writer@localhost" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("many recipients", func(t *testing.T) {
		var to []string
		for i := range 300 {
			to = append(to, fmt.Sprintf("r%d@far.test", i))
		}
		id := s.submit(submission{from: "writer@localhost", to: to})
		sent, queued := map[string]bool{}, map[string]bool{}
		eventually(t, "each of them is told", func() bool {
			_, all := s.told(id)
			for _, e := range all {
				for _, r := range e.Recipients {
					sent[r.To], queued[r.Queued] = r.Status == "sent" || sent[r.To], true
				}
			}
			return len(sent) == len(to)+1 && len(queued) == len(to)+1
		})
		for _, r := range to {
			if !sent[r] || !queued[r] {
				t.Errorf("%s: sent %v, queued %v", r, sent[r], queued[r])
			}
		}
	})
	t.Run("sendmail", func(t *testing.T) {
		cmd := exec.Command(binary, "sendmail", "--data", s.data, "-f", "boss@x.test", "reader@localhost")
		cmd.Stdin = strings.NewReader("Subject: x\n\nx\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if e := s.wantTold(s.idOf("--from", "@x.test"), "received")[0]; e.Door != "sendmail" || !strings.Contains(e.Origin, "by sendmail") {
			t.Errorf("%+v", e)
		}
	})
	t.Run("import", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "one.eml")
		if err := os.WriteFile(file, []byte("Subject: old\n\nx\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.run("import", "writer", "--format", "eml", file)
		if e := s.wantTold(s.idOf("--to", "writer@localhost"), "received")[0]; e.Door != "import" || e.By == "" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("readers and operators", func(t *testing.T) {
		if n := len(s.fetch("reader", true)); n < 4 {
			t.Fatalf("%d messages", n)
		}
		id := s.idOf("--to", "reader@localhost")
		if e := s.wantTold(id, "received deleted")[1]; e.By != "pop3" {
			t.Errorf("%+v", e)
		}
		hosts[0].behave(manners{refuse: func(string, int, time.Duration) string { return "450 4.2.1 busy" }})
		id = s.submit(submission{from: "writer@localhost", to: []string{"held@far.test"}})
		eventually(t, "an attempt", func() bool { _, all := s.told(id); return len(all) > 1 })
		s.run("queue", "hold", id)
		s.run("queue", "delete", id)
		s.says(`(?s)held by \w+\n.*removed from the queue by \w+\nIt has left the queue.\n$`, "why", id)
	})
	s.check()
	if code, out := s.fails("why", "6H0000000PPPP"); code != 67 || !strings.Contains(out, "the history goes back to") {
		t.Errorf("%d %s", code, out)
	}
}

// submitWithin sends a message of an account within TLS.
func (s *server) submitWithin(t *testing.T, account, to string) {
	t.Helper()
	c, err := smtp.Dial(s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.PlainAuth("", account, password(account), "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Mail(account+"@localhost"), c.Rcpt(to)); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), c.Quit()); err != nil {
		t.Fatal(err)
	}
}

// What was written to the history is there after kill -9, and with the store that no server
// has open; the messages of the last second may be unknown, and are there all the same. A
// backup has no history, and log.history = "0" deletes it.
func TestWhyAfterAKill(t *testing.T) {
	t.Parallel()
	s := newServer(t, "reader")
	s.start()
	var ids []string
	for range 20 {
		ids = append(ids, s.submit(submission{from: "ann@there.test", to: []string{"reader@localhost"}}))
	}
	s.wantTold(ids[19], "received") // all of them are written
	last := s.submit(submission{from: "ann@there.test", to: []string{"reader@localhost"}})
	s.kill()
	for _, id := range ids {
		s.wantTold(id, "received")
	}
	cmd := exec.Command(binary, "sendmail", "--data", s.data, "-f", "boss@x.test", "reader@localhost")
	cmd.Stdin = strings.NewReader("Subject: x\n\nx\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.wantTold(s.idOf("--from", "boss@x.test"), "received")
	s.check()
	s.start()
	for _, id := range ids {
		s.wantTold(id, "received")
	}
	if n := len(s.fetch("reader", false)); n != 22 {
		t.Errorf("%d messages, want 22 with %s", n, last)
	}
	copies := filepath.Join(t.TempDir(), "copies")
	s.run("backup", copies)
	err := filepath.WalkDir(copies, func(path string, _ os.DirEntry, err error) error {
		if strings.Contains(path, "history") || strings.HasSuffix(path, ".events") {
			t.Errorf("the backup has %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.terminate()
	s.configure("[log]\nhistory = \"0\"\n")
	s.start()
	if code, out := s.fails("why", ids[0]); code != 67 || !strings.Contains(out, "log.history is 0") {
		t.Errorf("%d %s", code, out)
	}
	eventually(t, "the history is deleted", func() bool {
		files, err := filepath.Glob(filepath.Join(s.data, "history", "*.events"))
		return err == nil && len(files) == 0
	})
	c, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := (submission{from: "ann@there.test", to: []string{"reader@localhost"}}).send(c); err != nil {
		t.Error(err)
	}
}
