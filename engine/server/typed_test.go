package server

import (
	"errors"
	"testing"

	"postrider/engine/admit/login"
)

// A password that is written otherwise than when it was set is right at every door; a
// wrong one is as wrong as that of an unknown name.
func TestTypedPasswordsAtEveryDoor(t *testing.T) {
	t.Parallel()
	f := start(t, now, nil)
	f.setPassword(t, "mbrain", "Grüße\u00a0zwei")
	for typed, right := range map[string]bool{
		"Grüße\u00a0zwei": true, "Gru\u0308ße zwei": true, "Grüße\u3000\uff5aw\u00adei": true,
		"Grusse zwei": false, "Gru\u0308sse zwei": false, "Gr\xfc\xdfe zwei": false,
	} {
		smtp, pop3, denied := "235 2.7.0", "+OK", error(nil)
		if !right {
			smtp, pop3, denied = "535 5.7.8", "-ERR [AUTH]", login.ErrDenied
		}
		for _, user := range []string{"mbrain", "unknown"} {
			if user == "unknown" {
				smtp, pop3, denied = "535 5.7.8", "-ERR [AUTH]", login.ErrDenied
			}
			f.hello(t).say(plain(user, typed), smtp)
			p := f.hello(t)
			p.say("AUTH LOGIN", "334 ")
			p.say(b64(user), "334 ")
			p.say(b64(typed), smtp)
			q := f.dialPOP3(t)
			q.expect("+OK")
			q.say("USER "+user, "+OK")
			q.say("PASS "+typed, pop3)
			if pop3 == "+OK" {
				q.say("QUIT", "+OK")
			}
			if _, err := f.door.SignIn(t.Context(), user, []byte(typed), here); !errors.Is(err, denied) {
				t.Errorf("web: %s %q: %v", user, typed, err)
			}
		}
	}
}
