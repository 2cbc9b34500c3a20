package agent

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// authority makes certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serial atomic.Int64

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	return a
}

// make makes a certificate, signed by itself without an issuer.
func (a *authority) make(template, issuer *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(serial.Add(1) + 1)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-24 * time.Hour)
	if issuer == nil {
		issuer, by = template, key
	}
	octets, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), by)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(octets)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue makes a certificate for names, with the authority's after it.
func (a *authority) issue(until time.Time, names ...string) tls.Certificate {
	a.t.Helper()
	cert, key := a.make(&x509.Certificate{DNSNames: names, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key, Leaf: cert}
}

// pool is a pool with the authority in it.
func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// mailHost is a host that speaks TLS, or breaks it.
type mailHost struct {
	l    net.Listener
	mode string // "", refuse, inject, garbage, hangup, hangup-later, greylist, no-tls, silent, leave, hiccup
	tls  *tls.Config

	mu       sync.Mutex
	mail     []arrived // under mu
	startTLS int       // under mu: the number of STARTTLS commands
	refused  int       // under mu: the number of RCPT commands
	clear    [2]string // under mu: a command, and the reply to it in clear text
}

// arrived describes how a message came.
type arrived struct {
	tls  bool
	name string // the server name in the client's SNI
	auth string
}

func (a arrived) String() string { return fmt.Sprintf("tls=%t name=%s auth=%s", a.tls, a.name, a.auth) }

// startMX runs a mail host at HOST:PORT until the test ends.
func startMX(t testing.TB, addr, mode string, cert tls.Certificate) *mailHost {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h := &mailHost{l: l, mode: mode, tls: &tls.Config{Certificates: []tls.Certificate{cert}}}
	if mode == "old" {
		h.tls.MinVersion, h.tls.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	if mode == "wants-certificate" {
		h.tls.ClientAuth = tls.RequireAnyClientCert
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(hang))
				h.serve(c)
			})
		}
	})
	return h
}

const hang = 60 * time.Second

// serve talks SMTP.
func (h *mailHost) serve(c net.Conn) {
	r := bufio.NewReader(c)
	say := func(s string) { _, _ = io.WriteString(c, s+"\r\n") }
	var now arrived
	say("220 mx ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if reply := h.inClear(verb); reply != "" && !now.tls {
			say(reply)
			continue
		}
		switch verb {
		case "EHLO":
			if !now.tls && h.mode != "no-tls" {
				say("250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS")
			} else {
				say("250-mx\r\n250 AUTH PLAIN")
			}
		case "STARTTLS":
			h.mu.Lock()
			h.startTLS++
			h.mu.Unlock()
			secured := h.secure(c, say)
			if secured == nil {
				if h.mode == "refuse" {
					continue
				}
				return
			}
			now = arrived{tls: true, name: secured.ConnectionState().ServerName}
			c, r = secured, bufio.NewReader(secured)
		case "AUTH":
			now.auth = rest
			say("235 ok")
		case "RCPT":
			h.mu.Lock()
			h.refused++
			late := h.mode != "greylist" || h.refused > 1
			h.mu.Unlock()
			if late {
				say("250 ok")
			} else {
				say("450 4.2.0 come back")
			}
		case "DATA":
			say("354 go")
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			if reply := h.inClear("."); reply != "" && !now.tls {
				say(reply)
				continue
			}
			h.mu.Lock()
			h.mail = append(h.mail, now)
			h.mu.Unlock()
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// inClear is the special reply to a command in clear text; "": none.
func (h *mailHost) inClear(verb string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clear[0] == verb {
		return h.clear[1]
	}
	return ""
}

// refuseInClear sets the reply to a command in clear text. The verb "" unsets it.
func (h *mailHost) refuseInClear(verb, reply string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clear = [2]string{verb, reply}
}

// become changes the mode.
func (h *mailHost) become(mode string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mode = mode
}

// secure answers STARTTLS. It returns nil when TLS failed.
func (h *mailHost) secure(c net.Conn, say func(string)) *tls.Conn {
	h.mu.Lock()
	mode, first := h.mode, h.startTLS == 1
	h.mu.Unlock()
	if mode == "hiccup" && first {
		mode = "hangup"
	}
	switch mode {
	case "silent":
		_, _ = io.Copy(io.Discard, c)
		return nil
	case "leave":
		return nil
	case "nonsense":
		say("what is STARTTLS?")
		return nil
	case "refuse":
		say("454 4.7.0 not now")
		return nil
	case "inject":
		say("220 go\r\n250-mx\r\n250 AUTH PLAIN")
		_, _ = io.Copy(io.Discard, c)
		return nil
	case "garbage":
		say("220 go")
		_, _ = c.Read(make([]byte, 4096)) // the client's first word; before it this would be an injection
		_, _ = io.WriteString(c, "what is this?\r\n")
		return nil
	case "hangup":
		say("220 go")
		return nil
	}
	say("220 go")
	secured := tls.Server(c, h.tls)
	if err := secured.Handshake(); err != nil || mode == "hangup-later" {
		return nil
	}
	return secured
}

// got lists the messages that have arrived, one a line.
func (h *mailHost) got() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []string
	for _, a := range h.mail {
		lines = append(lines, a.String())
	}
	return strings.Join(lines, "\n")
}

func (h *mailHost) asked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.startTLS
}
