package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/bench"
	"postrider/engine/edge/dns/dnstest"
)

// One message to recipients that fare differently: an accepted recipient gets it once,
// one that was refused for good is returned at once, one that was refused for now gets
// it later.
func TestRelayRecipientsFareDifferently(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2")
	host := hosts[0]
	host.behave(manners{refuse: refuseByName})
	names := dnstest.Start(t, "mixed.test. 300 IN A 127.0.0.2")
	s := startRelay(t, names, port, "", "writer")
	rcpts := []string{"good1@mixed.test", "550-gone@mixed.test", "450-busy@mixed.test", "good2@mixed.test", "451-full@mixed.test", "553-no@mixed.test"}
	id := s.submit(submission{from: "writer@localhost", to: rcpts})
	s.emptied()

	for _, to := range rcpts {
		want, tries := 1, 1
		switch to[0] {
		case '5':
			want = 0
		case '4':
			tries = 2
		}
		if n := host.got(to); n != want {
			t.Errorf("%s got %d messages, want %d", to, n, want)
		}
		if n := host.tried(to); n != tries {
			t.Errorf("%s was tried %d times, want %d", to, n, tries)
		}
	}
	if n := len(host.messages()); n != 2 {
		t.Errorf("the host has %d messages: one for those that it took at once, one for those that had to wait", n)
	}
	_, about := s.notice("writer", "550-gone@mixed.test", "failed")
	if about.Get("Status") != "5.1.1" || about.Get("Diagnostic-Code") != "smtp; 550 5.1.1 no such user" || about.Get("Remote-Mta") == "" {
		t.Errorf("the notification says %v", about)
	}
	if n := len(s.fetch("writer", false)); n != 1 {
		t.Errorf("%d notifications for one attempt at one destination", n)
	}
	life := s.run("why", id)
	for _, words := range []string{"450-busy@mixed.test", "450 4.2.1 come again", "550 5.1.1 no such user", "It has left the queue"} {
		if !strings.Contains(life, words) {
			t.Errorf("why does not say %q:\n%s", words, life)
		}
	}
	s.check()
}

// A host that greylists, and one that knows HELO only.
func TestRelayOldAndWaryHosts(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	wary, old, few := hosts[0], hosts[1], hosts[2]
	wary.behave(manners{refuse: greylist(2 * time.Second)})
	old.behave(manners{noESMTP: true})
	few.behave(manners{connections: 1})
	names := dnstest.Start(t, "wary.test. 300 IN A 127.0.0.2", "old.test. 300 IN A 127.0.0.3", "few.test. 300 IN A 127.0.0.4")
	s := startRelay(t, names, port, "", "writer")
	const many = 30
	for i := range many {
		s.submit(submission{from: "writer@localhost", to: []string{fmt.Sprintf("r%d@few.test", i)}})
	}
	s.submit(submission{from: "writer@localhost", to: []string{"r@wary.test", "r@old.test"}})
	s.emptied()
	if n := wary.got("r@wary.test"); n != 1 || wary.tried("r@wary.test") < 2 {
		t.Errorf("the host that greylists has %d messages after %d tries", n, wary.tried("r@wary.test"))
	}
	taken := old.messagesFor("r@old.test")
	if len(taken) != 1 || taken[0].with != "HELO" || taken[0].ahead || taken[0].from != "<writer@localhost>" {
		t.Errorf("the host that knows no EHLO has %+v", taken)
	}
	for i := range many {
		if n := few.got(fmt.Sprintf("r%d@few.test", i)); n != 1 {
			t.Errorf("message %d came %d times to the host that takes one connection", i, n)
		}
	}
	if n := len(s.fetch("writer", false)); n != 0 {
		t.Errorf("%d notifications, though all was delivered", n)
	}
}

// A host that closes the connection after the message may have it or not: it is sent
// again, and nothing else is.
func TestRelayDropAfterTheDot(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	names := dnstest.Start(t,
		"kept.test. 300 IN MX 10 mx1.test.", "kept.test. 300 IN MX 20 spare.test.",
		"lost.test. 300 IN MX 10 mx2.test.", "lost.test. 300 IN MX 20 spare.test.",
		"mx1.test. 300 IN A 127.0.0.2", "mx2.test. 300 IN A 127.0.0.3", "spare.test. 300 IN A 127.0.0.4")
	s := startRelay(t, names, port, "", "writer")
	drops := func(p *peer, keep bool) {
		dropped := false
		p.behave(manners{endOfData: func(taken) (string, bool) {
			if dropped {
				return "250 2.0.0 taken", true
			}
			dropped = true
			return "", keep
		}})
	}
	drops(hosts[0], true)
	drops(hosts[1], false)
	s.submit(submission{from: "writer@localhost", to: []string{"r@kept.test"}})
	s.submit(submission{from: "writer@localhost", to: []string{"r@lost.test"}})
	status, reason := s.deferred("kept.test", "r@kept.test")
	if status == "" || !strings.Contains(reason, "message may be sent more than once") {
		t.Errorf("it waits with %q, %q, which does not say that it may be sent twice", status, reason)
	}
	s.emptied()
	if n := hosts[0].got("r@kept.test"); n != 2 {
		t.Errorf("the host that kept the message and did not say so has it %d times, want 2", n)
	}
	if n := hosts[1].got("r@lost.test"); n != 1 {
		t.Errorf("the host that dropped the message has it %d times, want 1", n)
	}
	if n := len(hosts[2].messages()); n != 0 {
		t.Errorf("the spare host got %d messages while the first one may have them", n)
	}
}

// A host that falls silent is given up after its time, at whatever stage; the
// reason has the stage.
func TestRelayHostHangs(t *testing.T) {
	t.Parallel()
	stages := []struct{ stage, words string }{
		{atGreeting, "greeting"}, {atHello, "EHLO"}, {atMail, "MAIL FROM"}, {atRcpt, "RCPT TO"}, {atData, "DATA"}, {atDot, "end of data"},
	}
	var addresses, records []string
	for i := range stages {
		address := fmt.Sprintf("127.0.0.%d", 2+i)
		addresses = append(addresses, address)
		records = append(records, fmt.Sprintf("hang%d.test. 300 IN A %s", i, address))
	}
	port, hosts := startPeers(t, addresses...)
	names := dnstest.Start(t, records...)
	s := startRelay(t, names, port, `retry = ["3s"]
command_timeout = "2s"
data_timeout = "2s"
reply_timeout = "2s"`, "writer")
	for i, stage := range stages {
		// Without PIPELINING each command is waited for.
		hosts[i].behave(manners{hang: stage.stage, offers: []string{"SIZE"}})
		s.submit(submission{from: "writer@localhost", to: []string{fmt.Sprintf("r@hang%d.test", i)}})
	}
	for i, stage := range stages {
		domain := fmt.Sprintf("hang%d.test", i)
		status, reason := s.deferred(domain, "r@"+domain)
		if status != "4.4.2" || !strings.Contains(strings.ToLower(reason), "timed out") || !strings.Contains(reason, stage.words) {
			t.Errorf("a host that hangs at %s: %s, %q; want 4.4.2 and the words %q", stage.stage, status, reason, stage.words)
		}
		hosts[i].behave(manners{})
	}
	s.emptied()
	for i := range stages {
		if n := hosts[i].got(fmt.Sprintf("r@hang%d.test", i)); n != 1 {
			t.Errorf("host %d has the message %d times", i, n)
		}
	}
}

// Hosts that do not even begin: busy, closed for mail, or speaking no SMTP. Another
// host of the domain takes the mail.
func TestRelayHostsThatRefuseConnections(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
	greetings := []string{"421 4.3.2 too busy", "554 5.3.2 no mail here", "hello?"}
	names := dnstest.Start(t, "spare.test. 300 IN A 127.0.0.5")
	for i, greeting := range greetings {
		hosts[i].behave(manners{greeting: greeting})
		err := names.Add(fmt.Sprintf("mx%d.test. 300 IN A 127.0.0.%d", i, 2+i),
			fmt.Sprintf("two%d.test. 300 IN MX 10 mx%d.test.", i, i), fmt.Sprintf("two%d.test. 300 IN MX 20 spare.test.", i),
			fmt.Sprintf("one%d.test. 300 IN MX 10 mx%d.test.", i, i))
		if err != nil {
			t.Fatal(err)
		}
	}
	s := startRelay(t, names, port, `retry = ["2s"]`, "writer")
	for i := range greetings {
		s.submit(submission{from: "writer@localhost", to: []string{fmt.Sprintf("r@two%d.test", i), fmt.Sprintf("r@one%d.test", i)}})
	}
	for i, greeting := range greetings {
		two, one := fmt.Sprintf("r@two%d.test", i), fmt.Sprintf("one%d.test", i)
		eventually(t, "the spare host has the mail for "+two, func() bool { return hosts[3].got(two) == 1 })
		status, reason := s.deferred(one, "r@"+one)
		if !strings.HasPrefix(status, "4.") || !strings.Contains(reason, greeting) && i < 2 {
			t.Errorf("a host that greets with %q: %s, %q", greeting, status, reason)
		}
		hosts[i].behave(manners{})
	}
	s.emptied()
	if n := len(s.fetch("writer", false)); n != 0 {
		t.Errorf("%d notifications: a host's 5yz greeting is no reason to return mail", n)
	}
}

// A host gets a message as it came in, octet for octet after one Received field.
func TestRelayOctetForOctet(t *testing.T) {
	t.Parallel()
	port, hosts := startPeers(t, "127.0.0.2")
	names := dnstest.Start(t, "far.test. 300 IN A 127.0.0.2")
	s := startRelay(t, names, port, "", "writer")
	mail := madeSamples()
	mail = append(mail, sample{"large", bytes.Repeat([]byte("Subject: large\r\n\r\n"+strings.Repeat(".line of text\r\n", 9)), 9000)})
	for i, m := range mail {
		s.submit(submission{from: "writer@localhost> BODY=8BITMIME", to: []string{fmt.Sprintf("r%d@far.test", i)}, text: string(bench.Stuff(m.message))})
	}
	s.emptied()
	for i, m := range mail {
		got := hosts[0].messagesFor(fmt.Sprintf("r%d@far.test", i))
		if len(got) != 1 {
			t.Errorf("%s came %d times", m.name, len(got))
			continue
		}
		name, rest := cutField(got[0].text)
		if name != "received" || !bytes.Equal(rest, m.message) {
			t.Errorf("%s was changed: %.300q", m.name, got[0].text)
		}
		if !strings.Contains(got[0].from, " SIZE=") || !strings.Contains(got[0].from, " BODY=8BITMIME") || !got[0].ahead {
			t.Errorf("%s: to a host that offers PIPELINING, SIZE and 8BITMIME, MAIL had %q, RCPT after it at once: %v", m.name, got[0].from, got[0].ahead)
		}
	}
}
