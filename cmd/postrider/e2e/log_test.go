package e2e

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/engine/edge/dns/dnstest"
)

// The tools that read Postfix's logs count what was sent: pflogsumm, and fail2ban's filter
// for Postfix, over the log as a file has it and as journalctl prints it.
func TestLogTools(t *testing.T) {
	for _, program := range []string{"pflogsumm", "fail2ban-regex", "smtp-source", "smtp-sink"} {
		need(t, program)
	}
	const here, relayed, unknown, denied, wrong = 100, 60, 12, 3, 4
	port := freePort(t)
	startSink(t, fmt.Sprintf("127.0.0.2:%d", port))
	startSink(t, fmt.Sprintf("127.0.0.4:%d", port), "-r", "rcpt")
	names := dnstest.Start(t, "good.test. 300 IN A 127.0.0.2", "soft.test. 300 IN A 127.0.0.4")
	file := filepath.Join(t.TempDir(), "mail.log")
	s := startRelay(t, names, port, fmt.Sprintf("retry = [\"1h\"]\nnetworks = [\"127.0.0.1/32\"]\n[log]\nto = %q\n[auth]\nfailure_delay = \"0s\"\n", file), "writer")
	source := func(messages int, to string) {
		execute(t, nil, "smtp-source", "-s", "4", "-m", fmt.Sprint(messages), "-l", "2000", "-f", "writer@localhost", "-t", to, "inet:"+s.smtp[0])
	}
	source(here, "writer@localhost")
	source(relayed, "r@good.test")
	s.submit(submission{from: "writer@localhost", to: []string{"r@soft.test"}})
	s.deferred("soft.test", "r@soft.test")
	eventually(t, "the mail for good.test has left", func() bool { return len(s.queue("--to-domain", "good.test")) == 0 })
	refusals(t, s.smtp[0], unknown, denied, wrong)
	s.terminate() // the log is written whole

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, m := range regexp.MustCompile(`qmgr\[\d+\]: \w+: from=<[^>]*>, size=(\d+)`).FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(m[1])
		size += n
	}
	journal := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\S+ `).ReplaceAllString(string(text), time.Now().Format("Jan _2")+" $1 ")
	for name, text := range map[string]string{"file": string(text), "journal": journal} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		summary := output(t, "pflogsumm", path)
		for what, want := range map[string]int{
			"received": here + relayed + 1, "delivered": here + relayed, "deferred": 1, "bounced": 0, "rejected": unknown + denied,
		} {
			if got := number(summary, what); got != want {
				t.Errorf("%s: pflogsumm counts %d %s, want %d\n%s", name, got, what, want, summary)
			}
		}
		if got := number(summary, "bytes received"); got != size { // it writes 512 KiB and more with a unit
			t.Errorf("%s: pflogsumm counts %d octets, want %d", name, got, size)
		}
		for mode, want := range map[string]int{"normal": unknown + denied, "auth": wrong, "aggressive": unknown + denied + wrong} {
			report := output(t, "fail2ban-regex", path, "postfix[mode="+mode+"]")
			if got := regexp.MustCompile(`, (\d+) matched`).FindStringSubmatch(report); got == nil || got[1] != fmt.Sprint(want) {
				t.Errorf("%s: fail2ban in mode %s: %q matched, want %d\n%s", name, mode, got, want, report)
			}
		}
	}
}

// refusals meets some from another network than relay.networks: recipients that don't exist,
// mail for other domains, and logins with a wrong password.
func refusals(t *testing.T, addr string, unknown, denied, wrong int) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := smtp.NewClient(conn, "mx.localhost")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("somebody@there.test"); err != nil {
		t.Fatal(err)
	}
	for i := range unknown {
		if err := c.Rcpt(fmt.Sprintf("none%d@localhost", i)); err == nil {
			t.Error("an unknown user is taken")
		}
	}
	for range denied {
		if err := c.Rcpt("r@good.test"); err == nil {
			t.Error("mail is relayed")
		}
	}
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	for range wrong {
		reply, err := c.Text.Cmd("AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00writer\x00wrong")))
		if err != nil {
			t.Fatal(err)
		}
		c.Text.StartResponse(reply)
		_, _, err = c.Text.ReadResponse(235)
		c.Text.EndResponse(reply)
		if e, ok := err.(*textproto.Error); !ok || e.Code != 535 {
			t.Errorf("a wrong password: %v", err)
		}
	}
	_ = c.Quit()
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// number is the count of a line of pflogsumm's grand totals.
func number(summary, what string) int {
	m := regexp.MustCompile(`(?m)^\s*(\d+)\s+` + what + `\b`).FindStringSubmatch(summary)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(strings.TrimSpace(m[1]))
	return n
}
