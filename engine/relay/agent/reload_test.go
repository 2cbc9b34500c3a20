package agent

import (
	"strings"
	"testing"
	"time"

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
