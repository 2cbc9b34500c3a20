package server

import (
	"encoding/base64"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"postrider/codec/sasl"
	"postrider/engine/config"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

// changes are what ends the sessions of an account.
var changes = map[string]func(t *testing.T, f *fixture){
	"another password": func(t *testing.T, f *fixture) { f.setPassword(t, "mbrain", "new word") },
	"no password": func(t *testing.T, f *fixture) {
		if err := f.store.SetPassword(f.mbrain(t).ID, "", ""); err != nil {
			t.Fatal(err)
		}
	},
	"disabled": func(t *testing.T, f *fixture) {
		access := storage.NoLogin
		if err := f.store.ChangeAccount(f.mbrain(t).ID, storage.AccountChange{Access: &access}); err != nil {
			t.Fatal(err)
		}
	},
	"renamed": func(t *testing.T, f *fixture) {
		name := "marshall"
		if err := f.store.ChangeAccount(f.mbrain(t).ID, storage.AccountChange{Name: &name}); err != nil {
			t.Fatal(err)
		}
	},
	"removed": func(t *testing.T, f *fixture) {
		if err := f.store.RemoveAccount(f.mbrain(t).ID); err != nil {
			t.Fatal(err)
		}
	},
}

func (f *fixture) mbrain(t testing.TB) storage.Account {
	t.Helper()
	a, err := f.router.Login([]byte("mbrain"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// others makes a change to another account, which ends no session of this one.
func others(t *testing.T, f *fixture) { f.setPassword(t, "jsmith", "secret") }

const expiredText = "421 4.7.0 mx.test "

// A session of SMTP ends before its next command, wherever in a transaction that is, and a
// message whose end comes after the change is not taken.
func TestSMTPSessionsEndWithTheirLogin(t *testing.T) {
	for name, change := range changes {
		for before, steps := range map[string][]string{
			"between transactions": {},
			"before RCPT":          {"MAIL FROM:<mbrain@localhost>"},
			"before DATA":          {"MAIL FROM:<mbrain@localhost>", "RCPT TO:<jsmith@localhost>"},
			"in a message":         {"MAIL FROM:<mbrain@localhost>", "RCPT TO:<jsmith@localhost>", "DATA", "Subject: x\r\n\r\nx"},
			"between chunks":       {"MAIL FROM:<mbrain@localhost>", "RCPT TO:<jsmith@localhost>", "BDAT 14\r\nSubject: x\r\n\r\n"},
		} {
			t.Run(name+" "+before, func(t *testing.T) {
				f := start(t, now, nil)
				p := f.hello(t)
				p.say(plain("mbrain", "secret"), "235 ")
				for _, step := range steps {
					switch {
					case step == "DATA":
						p.say(step, "354 ")
					case strings.HasPrefix(step, "Subject"):
						p.send(step + "\r\n")
					default:
						p.say(strings.TrimSuffix(step, "\r\n"), "250 ")
					}
				}
				others(t, f)
				if before == "between transactions" {
					p.say("NOOP", "250 ")
				}
				change(t, f)
				next := map[string]string{"between transactions": "NOOP", "before RCPT": "RCPT TO:<jsmith@localhost>", "before DATA": "DATA", "in a message": ".", "between chunks": "BDAT 3 LAST\r\nx"}[before]
				p.say(next, expiredText)
				if before != "in a message" && before != "between chunks" {
					p.say("NOOP", expiredText)
				}
				p.end()
				if n, _, err := f.store.Usage(2); n != 0 || err != nil {
					t.Errorf("%d messages came, %v", n, err)
				}
			})
		}
	}
}

// A session of POP3 ends before its next command, gives the maildrop back, and deletes
// nothing; not even with QUIT.
func TestPOP3SessionsEndWithTheirLogin(t *testing.T) {
	for name, change := range changes {
		for _, command := range []string{"NOOP", "RETR 1", "LIST", "QUIT"} {
			t.Run(name+" "+command, func(t *testing.T) {
				f := start(t, now, nil)
				id := f.mbrain(t).ID
				f.deliver(t, "mbrain@localhost", "Subject: one\r\n\r\nx\r\n")
				f.deliver(t, "mbrain@localhost", "Subject: two\r\n\r\nx\r\n")
				p := f.login(t, "mbrain")
				p.say("DELE 1", "+OK")
				others(t, f)
				p.say("NOOP", "+OK")
				change(t, f)
				p.say(command, "-ERR [AUTH] ")
				p.end()
				if name == "removed" {
					return
				}
				f.maildropIsFree(t, id)
				if n, _, err := f.store.Usage(id); n != 2 || err != nil {
					t.Errorf("%d messages are left, %v", n, err)
				}
			})
		}
	}
}

// The next command may be one that was sent together with others.
func TestPipelinedCommandsAfterTheLogin(t *testing.T) {
	f := start(t, now, nil)
	p := f.hello(t)
	p.say(plain("mbrain", "secret"), "235 ")
	f.setPassword(t, "mbrain", "new word")
	p.send("MAIL FROM:<mbrain@localhost>\r\nRCPT TO:<jsmith@localhost>\r\nDATA\r\n")
	p.expect(expiredText)
	p.expect(expiredText)
	p.end()
	q := f.login(t, "jsmith")
	f.setPassword(t, "jsmith", "new word")
	q.send("DELE 1\r\nQUIT\r\n")
	q.expect("-ERR [AUTH] ")
	q.end()
}

// A password that is changed between the steps of an exchange of SCRAM counts at its end.
func TestSCRAMWithAPasswordThatIsChangedMeanwhile(t *testing.T) {
	f := start(t, now, nil)
	f.setPassword(t, "mbrain", "secret")
	for _, protocol := range []struct {
		open         func() *peer
		more, denied string
	}{
		{func() *peer { return f.hello(t) }, "334 ", "535 5.7.8"},
		{func() *peer { p := f.dialPOP3(t); p.expect("+OK"); return p }, "+ ", "-ERR [AUTH]"},
	} {
		f.setPassword(t, "mbrain", "secret")
		p := protocol.open()
		client, err := scram.SHA256.NewClient("mbrain", "secret", "")
		if err != nil {
			t.Fatal(err)
		}
		c := client.NewConversation()
		message, err := c.Step("")
		if err != nil {
			t.Fatal(err)
		}
		challenge := p.say("AUTH SCRAM-SHA-256 "+b64(message), protocol.more)
		text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(challenge, protocol.more))
		if err != nil {
			t.Fatal(err)
		}
		if message, err = c.Step(string(text)); err != nil {
			t.Fatal(err)
		}
		p.say(b64(message), protocol.more)
		f.setPassword(t, "mbrain", "new word")
		p.say(b64(""), protocol.denied)
	}
}

// A message that was written before the password was changed is not sent.
func TestWebClientDoesNotSendAfterTheLogin(t *testing.T) {
	f := submitting(t, nil)
	was := f.mbrain(t)
	m := incoming.Mail{Sender: "mbrain@localhost", Recipients: []string{"jsmith@localhost"}, Text: strings.NewReader("Subject: x\n\nx\n")}
	f.setPassword(t, "mbrain", "new word")
	if _, err := f.webSubmit(t.Context(), was, m); err == nil || !strings.Contains(err.Error(), "sign in again") {
		t.Errorf("sent: %v", err)
	}
	m.Text = strings.NewReader("Subject: x\n\nx\n")
	if _, err := f.webSubmit(t.Context(), f.mbrain(t), m); err != nil {
		t.Error(err)
	}
}

// A look at a login that holds allocates nothing.
func TestALookAtTheLoginAllocatesNothing(t *testing.T) {
	f := start(t, func(c *config.Config) { now(c); c.Auth.Mechanisms = sasl.SetOf(sasl.Plain) }, nil)
	in := f.judge("secret", here).SignedIn
	if n := testing.AllocsPerRun(100, func() {
		if !f.door.StillHolds(&in) {
			t.Error("it does not hold")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A message that is being sent when its account is removed is cut off, and
// that is not logged as damage.
func TestAnAccountIsRemovedWhileItsMailIsSent(t *testing.T) {
	f := start(t, now, nil)
	f.deliver(t, "mbrain@localhost", "Subject: large\r\n\r\n"+strings.Repeat("a line of a message that does not fit into buffers\r\n", 600_000))
	p := f.dialPOP3(t)
	if err := p.link.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	p.expect("+OK")
	p.say("USER mbrain", "+OK")
	p.say("PASS secret", "+OK 1 ")
	log := f.listenIn()
	p.say("RETR 1", "+OK")
	if err := f.store.RemoveAccount(f.mbrain(t).ID); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(p.r) // a reset is an error
	if strings.HasSuffix(string(rest), "\r\n.\r\n") {
		t.Errorf("%d octets came, with an end", len(rest))
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if strings.Contains(log.b.String(), "ERROR") {
		t.Errorf("the log says\n%s", log.b.String())
	}
}
