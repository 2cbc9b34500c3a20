package tidy

import "testing"

func TestUpward(t *testing.T) {
	for _, c := range []struct {
		folder, room string
		wrong        bool
	}{
		{"engine/server", "engine/front/web", false},
		{"engine/front/web", "engine/server", true},
		{"engine/edge/loop", "engine/edge/tlsio", false},
		{"engine/protocol/smtpd", "engine/mail/router", true},
		{"engine/relay/agent", "engine/edge/dns", false},
		{"engine/relay/agent", "engine/client", true},
		{"engine/client", "engine/mail/entity", false},
		{"cmd/postrider/serve", "engine/server", false},
	} {
		if got := upward(c.folder, c.room, false); (got != "") != c.wrong {
			t.Errorf("%s -> %s: %q", c.folder, c.room, got)
		}
	}
}
