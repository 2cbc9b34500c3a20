package e2e

import (
	"strings"
	"testing"
)

// tls.client_certificates by openssl s_client: who shows one by the authority is
// named in the log and in the Received field; who has to and does not is turned away,
// but at port 25.
func TestClientCertificates(t *testing.T) {
	need(t, "openssl")
	a, other := newAuthority(t), newAuthority(t)
	mine := write(t, "mine.pem", a.issue(t, "ecdsa", "dev7.localhost"))
	foreign := write(t, "foreign.pem", other.issue(t, "ecdsa", "dev7.localhost"))
	const message = "EHLO client.example\nMAIL FROM:<a@client.example>\nRCPT TO:<reader@localhost>\nDATA\nSubject: x\n\nx\n.\nQUIT\n"
	for _, want := range []string{"ask", "require"} {
		t.Run(want, func(t *testing.T) {
			s := scanned(t, a, "client_certificates = \""+want+"\"\nclient_roots = \""+a.file+"\"\n")
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
			s.terminate()
			log := s.log.String()
			for _, line := range []string{"Trusted TLS connection established from unknown[127.0.0.1]: TLSv1.3", "client_cn=dev7.localhost", "Anonymous TLS connection established"} {
				if !strings.Contains(log, line) {
					t.Errorf("the log does not say %q", line)
				}
			}
			s.start()
			trusted := 0
			for _, m := range s.fetch("reader", false) {
				if strings.Contains(string(m), `(Client CN "dev7.localhost", Issuer "postrider test authority" (verified OK))`) {
					trusted++
				}
			}
			if trusted != 2 {
				t.Errorf("%d messages tell of the certificate", trusted)
			}
		})
	}
}
