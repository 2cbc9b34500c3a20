package e2e

import (
	"io"
	"net"
	"testing"

	"postrider/bench"
)

// RFC 5802 section 6 and RFC 9266: GNU SASL binds its login to the TLS session, and
// the server finds the same binding.
func TestChannelBinding(t *testing.T) {
	need(t, "gsasl")
	a := newAuthority(t)
	s := secureServer(t, a, openMechanisms, "reader")
	s.start()
	addr := greeted(t, s.smtp[0])
	for _, word := range []string{password("reader"), "another word"} {
		for _, mechanism := range []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"} {
			args := []string{"--smtp", "--starttls", "--connect=" + addr, "--hostname=localhost", "--x509-ca-file=" + a.file,
				"--mechanism=" + mechanism, "--authentication-id=reader", "--authorization-id=reader", "--password=" + word}
			if mechanism == "SCRAM-SHA-256" {
				args = append(args, "--no-cb") // or it finds that -PLUS was withheld, and gives up
			}
			in := succeeds(t, "", "gsasl", args...)
			if want := word == password("reader"); in != want {
				t.Errorf("%s with %q: let in: %t", mechanism, word, in)
			}
		}
	}
	s.terminate()
}

// greeted is an address that leads to addr and sends EHLO there first, which gsasl
// leaves out before STARTTLS.
func greeted(t *testing.T, addr string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go lead(client, addr)
		}
	}()
	return l.Addr().String()
}

func lead(client net.Conn, addr string) {
	defer client.Close()
	server, err := bench.DialSMTP(addr)
	if err != nil {
		return // gsasl fails, and prints that the connection was closed
	}
	defer server.Close()
	io.WriteString(client, "220 mx.localhost ESMTP\r\n")
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	io.Copy(client, server)
}
