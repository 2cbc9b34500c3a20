package look

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
)

// What a command line asks for is checked before the server is asked.
func TestUsage(t *testing.T) {
	shelltest.Both(t, func(s *shelltest.Shell) {
		for line, want := range map[string]string{
			"who --protocol imap":                    "expected smtp, submission, pop3 or web",
			"who --client 300.1.2.3":                 "expected an address or a network",
			"who --client 192.0.2.0/40":              "expected an address or a network",
			"who --limit 0":                          "expected 1 to 10000",
			"kick":                                   "name the sessions",
			"kick x":                                 "is not an id of a session",
			"kick 0":                                 "is not an id of a session",
			"trace":                                  "name the sessions",
			"trace -- -1":                            "is not an id of a session",
			"trace --account jsmith --for 0s":        "at most 24h",
			"trace --account jsmith --for 48h":       "at most 24h",
			"top --interval 1ms":                     "at least 100ms",
			"top --account jsmith --count -1":        "0 or more",
			"status all":                             "expected 0 arguments",
			"trace --client 2001:db8::/129 --for 1s": "expected an address or a network",
		} {
			s.Want(sysexits.Usage, "", line, want)
		}
		if s.Server {
			s.Want(0, "", "status", "health       ok", "listeners    smtp 127.0.0.1:25")
			s.Want(0, "", "status --json", `"health": "ok"`)
			text, err := os.ReadFile(s.Config)
			if err != nil {
				t.Fatal(err)
			}
			whole := s.Config
			s.Config = s.File("broken.toml", string(text)+"\n[smtp\n")
			for _, line := range []string{"status", "status --json"} {
				s.Want(0, "", line, "ok") // the server is found though its file is broken
			}
			s.Config = whole
			_, code := s.Run("", "who")
			if code == 0 {
				t.Error("a server without sessions lists them")
			}
			return
		}
		for _, line := range []string{"status", "who", "kick 1", "top", "trace 1"} {
			s.Want(sysexits.Unavailable, "", line, "no server runs on ")
		}
	}, StatusCommand, WhoCommand, KickCommand, TopCommand, TraceCommand)
}

func TestWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10 << 10: "10 KiB", 5 << 20: "5.0 MiB", 1 << 40: "1.0 TiB", -3 << 30: "-3.0 GiB"} {
		if got := octets(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0s", 59 * time.Second: "59s", 200 * time.Second: "3m20s", 125 * time.Minute: "2h5m", 103 * time.Hour: "4d7h"} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	if got := plain("a\x1b[2Jb\u202e"); got != "a?[2Jb?" {
		t.Errorf("%q", got)
	}
}

// A status with long lists stays within the screen, and a queue that was not counted shows no
// classes.
func TestStatusFitsTheScreen(t *testing.T) {
	now := time.Now()
	s := &admin.Status{Version: "1", Health: "ok", Started: now.Add(-time.Hour), Details: new(admin.Details)}
	for range 30 {
		s.Listeners = append(s.Listeners, admin.Listener{Name: "smtp", Addrs: []string{"127.0.0.1:2525"}})
		s.Limits = append(s.Limits, admin.Limit{Key: "policy.client_connections", Count: 3, Last: now.Add(-time.Minute)})
	}
	s.Queue.Entries = 1e6
	text := statusText(s, now, false)
	for line := range strings.Lines(text) {
		if len([]rune(line)) > width+1 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	for _, want := range []string{"policy.client_connections: 3 times, the last 1m0s ago", "1000000 entries, 0 B\n", "sessions     none"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// Sessions of the web have a table of their own, and each table is left out without a line.
func TestTable(t *testing.T) {
	mail := conn.Facts{ID: 1, Protocol: "submission", State: "DATA", Waits: "store", Seconds: 70, Messages: 2, In: 2048, Client: netip.MustParseAddr("192.0.2.1"), Account: "jsmith@localhost"}
	web := conn.Facts{ID: 2, Protocol: "web", State: "IDLE", Seconds: 7200, Idle: 65, Requests: 12, Out: 100, TLS: "TLSv1.3", Client: netip.MustParseAddr("192.0.2.2"), Account: "jsmith@localhost", Last: "GET /m/\x1b1"}
	const mailTable = "ID  PROTO  STATE       AGE    MSGS  IN    OUT  TLS  CLIENT     ACCOUNT\n1   subm   DATA+store  1m10s  2     2.0K  0    -    192.0.2.1  jsmith@localhost\n"
	const webTable = "ID  PROTO  STATE  AGE   IDLE  REQS  IN  OUT  TLS  CLIENT     ACCOUNT           LAST REQUEST\n2   web    IDLE   2h0m  1m5s  12    0   100  1.3  192.0.2.2  jsmith@localhost  GET /m/?1\n"
	for _, test := range []struct {
		all  []conn.Facts
		want string
	}{{[]conn.Facts{mail}, mailTable}, {[]conn.Facts{web}, webTable}, {[]conn.Facts{web, mail}, mailTable + "\n" + webTable}} {
		if got := table(test.all); got != test.want {
			t.Errorf("got\n%swant\n%s", got, test.want)
		}
	}
}
