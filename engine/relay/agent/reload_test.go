package agent

import (
	"strings"
	"testing"
	"time"

	"postrider/engine/host/history"
	"postrider/engine/relay/tlspolicy"
)

// A connection that was made by weaker rules carries no mail once stricter ones count.
func TestConfigure_KeptConnection(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, func(set *Settings) { noRetry(set); set.Idle = time.Hour }, zone...)
	startMX(t, b.at(2), "no-tls", newAuthority(t).issue(time.Time{}, "mx.b.test"))
	b.send("bob@b.test")
	b.send("bob@b.test")
	b.wantLog("conn_use=2")
	set := *b.Settings()
	set.Security.Rules = tlsRules(tlspolicy.Encrypt)
	next, err := b.Prepare(set)
	if err != nil {
		t.Fatal(err)
	}
	b.Configure(next, b.entrance.Load())
	if why := b.deferred("bob@b.test"); !strings.Contains(why, "TLS") {
		t.Errorf("deferred: %s", why)
	}
	if log := b.log.String(); strings.Contains(log, "conn_use=3") {
		t.Errorf("the connection in clear text was used again:\n%s", log)
	}
}

// The end of a connection that carried other messages is not part of an attempt's dialogue.
func TestConfigure_Dialogue(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil, 0, func(set *Settings) {
		noRetry(set)
		set.Idle = time.Hour
		set.ConnectionsPerDestination, set.InitialConnections = 1, 1
	}, zone...)
	host := startScripted(t, b.at(2), nil)
	kept := history.New(history.Options{Dir: t.TempDir(), Settings: history.Settings{Keep: time.Hour, Room: 64 << 20}})
	t.Cleanup(kept.Stop)
	in := *b.entrance.Load()
	in.History = kept
	configure := func() {
		t.Helper()
		next, err := b.Prepare(*b.Settings())
		if err != nil {
			t.Fatal(err)
		}
		b.Configure(next, &in)
	}
	configure()
	dialogue := func(to string) (lines []string) {
		t.Helper()
		b.send(to)
		b.until("the message is in the history", func() bool {
			found, _, err := kept.Search(t.Context(), history.Search{Recipient: to})
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				return false
			}
			all, _, err := kept.Find(found[0].ID) // a search has no dialogues
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				for _, v := range e.Facts {
					if v.Fact == history.Line {
						lines = append(lines, v.Text)
					}
				}
			}
			return true
		})
		return lines
	}
	for n, to := range []string{"ann@b.test", "bob@b.test"} {
		lines := dialogue(to)
		if len(lines) == 0 || !strings.HasPrefix(lines[0], "=== mx.b.test[127.0.0.2]") || strings.Contains(strings.Join(lines, "\n"), "QUIT") {
			t.Errorf("the dialogue about the message for %s:\n%s", to, strings.Join(lines, "\n"))
		}
		if host.connections() != n+1 {
			t.Errorf("%d connections", host.connections())
		}
		configure()
	}
}
