package server

import (
	"encoding/base64"
	"strings"
	"testing"

	"postrider/storage"
)

// aliases makes aliases "name: target target" in the default domain.
func (f *fixture) aliases(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		name, targets, _ := strings.Cut(line, ": ")
		if err := f.store.SetAliases([]storage.Alias{{Name: name, Domain: "localhost", Targets: strings.Fields(targets)}}); err != nil {
			t.Fatal(err)
		}
	}
}

// The sender of mail for an alias hears of its members that lead to no mailbox, and the
// others get the mail.
func TestDeadMembersOfAnAliasAreReturned(t *testing.T) {
	f := start(t, nil, nil)
	f.aliases(t, "crew: jsmith@localhost leaver@localhost inner@localhost spin@localhost",
		"inner: hollow@localhost", "spin: spun@localhost", "spun: spin@localhost", "empty: hollow@localhost")
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost>", "250 2.1.0 mbrain@localhost... Sender ok")
	p.say("RCPT TO:<crew@localhost>", "250 2.1.5 crew... Recipient ok")
	p.say("RCPT TO:<spin@localhost>", "550 5.4.6 spin... Alias loop")
	p.say("RCPT TO:<empty@localhost>", "550 5.1.1 empty... User unknown")
	p.say("DATA", "354 ")
	p.say("Subject: all hands\r\n\r\nhello\r\n.", "250 ")
	f.drained(t)
	if got := f.bodies(t, "jsmith"); len(got) != 1 || !strings.Contains(got[0], "Subject: all hands\r\n") {
		t.Errorf("%d messages for the member that is there: %q", len(got), got)
	}
	got := f.bodies(t, "mbrain")
	if len(got) != 1 {
		t.Fatalf("%d notifications", len(got))
	}
	for _, want := range []string{
		"Final-Recipient: rfc822; leaver@localhost\r\n", "Final-Recipient: rfc822; hollow@localhost\r\n", "Final-Recipient: rfc822; spin@localhost\r\n",
		"Original-Recipient: rfc822; crew@localhost\r\n", "expanded from", "Status: 5.1.1\r\n", "Status: 5.4.6\r\n", "alias loop: spin@localhost",
	} {
		if !strings.Contains(got[0], want) {
			t.Errorf("the notification has no %q:\n%s", want, got[0])
		}
	}
}

// NOTIFY=NEVER is for members too, and no account gets the mail twice.
func TestDeadMembersAndNotifyNever(t *testing.T) {
	f := start(t, nil, nil)
	f.aliases(t, "crew: jsmith@localhost leaver@localhost", "jsmith: jsmith@localhost crew@localhost")
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<crew@localhost> NOTIFY=NEVER", "250 ")
	p.say("RCPT TO:<jsmith@localhost> NOTIFY=NEVER", "250 ")
	p.say("DATA", "354 ")
	p.say("Subject: x\r\n\r\n.", "250 ")
	f.drained(t)
	if got := f.bodies(t, "jsmith"); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
	if got := f.bodies(t, "mbrain"); len(got) != 0 {
		t.Errorf("%d notifications", len(got))
	}
}

// A login and the sender's address of an account may have either spelling of its domain.
func TestInternationalDomainOfAnAccount(t *testing.T) {
	f := start(t, nil, nil)
	if err := f.store.AddDomain("xn--caf-dma.test"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.AddAccount(storage.NewAccount{Name: "zoë", Domain: "xn--caf-dma.test"}); err != nil {
		t.Fatal(err)
	}
	f.setPassword(t, "zoë@xn--caf-dma.test", "secret")
	for _, login := range []string{"zoë@café.test", "ZOË@XN--CAF-DMA.test", "zoe\u0308@cafe\u0301.test"} {
		p := f.dialSMTP(t)
		p.expect("220 ")
		p.say("EHLO client.test", "250 ")
		p.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+login+"\x00secret")), "235 ")
		p.say("MAIL FROM:<zoë@CAFE\u0301.test> SMTPUTF8", "250 ")
		p.say("RCPT TO:<zoe\u0308@CAFÉ.test>", "250 2.1.5 zoe\u0308... Recipient ok")
		p.say("RSET", "250 ")
		p.say("MAIL FROM:<jsmith@localhost>", "553 5.7.1")
		p.say("QUIT", "221 ")
	}
}
