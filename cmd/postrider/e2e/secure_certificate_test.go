package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// tls.client_certificates by openssl s_client: a client with a certificate by the
// authority is named in the log and in the Received field; a client without a required
// one is refused, except at port 25.
func TestClientCertificates(t *testing.T) {
	need(t, "openssl")
	a, other := newAuthority(t), newAuthority(t)
	mine := write(t, "mine.pem", a.issue(t, "ecdsa", "dev7.localhost"))
	foreign := write(t, "foreign.pem", other.issue(t, "ecdsa", "dev7.localhost"))
	const message = "EHLO client.example\nMAIL FROM:<a@client.example>\nRCPT TO:<reader@localhost>\nDATA\nSubject: x\n\nx\n.\nQUIT\n"
	for _, want := range []string{"ask", "require"} {
		t.Run(want, func(t *testing.T) {
			s := scanned(t, a, "client_certificates = \""+want+"\"\nclient_roots = \""+a.file+"\"\n[submission]\nlisten = [\"127.0.0.1:0\"]\n[pop3]\napop = true\n")
			f := func(d door, served bool, file string) {
				t.Helper()
				says, good := "CAPA\nQUIT\n", "\nUIDL"
				if d.protocol == "smtp" {
					says, good = message, " Message accepted"
				}
				args := []string{"-ign_eof", "-tls1_3"}
				if file != "" {
					args = append(args, "-cert", file, "-key", file)
				}
				report, _ := probeSaying(t, s, d, says, args...)
				if got := strings.Contains(report, good); got != served {
					t.Errorf("%s with %q: served is %v, want %v:\n%s", d, file, got, served, report)
				}
			}
			for _, d := range doors {
				must := want == "require" && d != doors[0]
				f(d, true, mine)
				f(d, !must, "")
				f(d, !must, foreign)
			}
			if want == "require" {
				noWayAround(t, s)
			}
			s.terminate()
			log := s.log.String()
			for _, line := range []string{"Trusted TLS connection established from unknown[127.0.0.1]: TLSv1.3", "client_cn=dev7.localhost", "Anonymous TLS connection established"} {
				if !strings.Contains(log, line) {
					t.Errorf("the log does not say %q", line)
				}
			}
			s.configure("") // to be read without a certificate
			s.start()
			trusted := 0
			for _, m := range s.fetch("reader", false) {
				if strings.Contains(string(m), `(Client CN "dev7.localhost", Issuer "postrider test authority" (verified OK))`) {
					trusted++
				}
			}
			if trusted != 2 {
				t.Errorf("%d messages name the certificate", trusted)
			}
		})
	}
}

// noWayAround tries to log in without a certificate by going without TLS, from loopback,
// where passwords in the clear are taken otherwise, and at port 25.
func noWayAround(t *testing.T, s *server) {
	t.Helper()
	plain := encoded("\x00reader\x00" + password("reader"))
	submission := regexp.MustCompile(`submission=(\S+)`).FindStringSubmatch(s.log.String())
	if submission == nil {
		t.Fatal("no address of submission is in the log")
	}
	for _, door := range []struct {
		addr  string
		steps steps
	}{
		{submission[1], steps{{"EHLO client.example", "250 "}, {"AUTH PLAIN " + plain, "530 5.7.0 Must issue a STARTTLS"},
			{"AUTH SCRAM-SHA-256 " + encoded("n,,n=reader,r=abc"), "530 5.7.0 Must issue a STARTTLS"}, {"MAIL FROM:<reader@localhost>", "530 5.7.0 Must issue a STARTTLS"}}},
		{s.smtp[0], steps{{"EHLO client.example", "250 "}, {"AUTH PLAIN " + plain, "502 "}, {"AUTH SCRAM-SHA-256", "502 "}}},
		{s.pop3[0], steps{{"USER reader", "-ERR"}, {"PASS " + password("reader"), "-ERR"}, {"AUTH PLAIN " + plain, "-ERR"},
			{"AUTH SCRAM-SHA-256", "-ERR"}, {"APOP reader c4c9334bac560ecc979e58001b3e22fb", "-ERR"}, {"STAT", "-ERR"}}},
	} {
		if err := must(t, door.addr, nil).play(door.steps); err != nil {
			t.Errorf("%s: %v", door.addr, err)
		}
	}
}
