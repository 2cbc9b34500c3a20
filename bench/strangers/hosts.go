package strangers

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Hosts are the other hosts of a Run: a name server, a sink for the own mail, and hosts
// that answer an octet a second.
type Hosts struct {
	NameServer string // its address
	Port       int    // the SMTP port of all other hosts

	sink      netip.Addr
	tricklers []netip.Addr
	key       string // evil.test's, in base64
	dns       []*dns.Server
	listened  []net.Listener

	trickled atomic.Int64 // connections to hosts that trickle

	mu      sync.Mutex
	arrived func(id string) // called for each own message that the sink has taken; under mu
	conns   map[net.Conn]bool
}

// Listen starts the hosts. The name server gets a free port at server; the sink and the
// tricklers listen at one port, which is free at all of them.
func Listen(server, sink netip.Addr, tricklers ...netip.Addr) (*Hosts, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	h := &Hosts{sink: sink, tricklers: tricklers, key: base64.StdEncoding.EncodeToString(public), conns: make(map[net.Conn]bool)}
	if err := h.serveDNS(server); err != nil {
		h.Close()
		return nil, err
	}
	for _, addr := range append([]netip.Addr{sink}, tricklers...) {
		l, err := net.Listen("tcp", netip.AddrPortFrom(addr, uint16(h.Port)).String())
		if err != nil {
			h.Close()
			return nil, err
		}
		h.Port = l.Addr().(*net.TCPAddr).Port
		h.listened = append(h.listened, l)
		play := h.trickle
		if addr == sink {
			play = h.take
		}
		go h.accept(l, play)
	}
	return h, nil
}

// serveDNS answers over UDP and TCP, at one port.
func (h *Hosts) serveDNS(at netip.Addr) error {
	udp, err := net.ListenPacket("udp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		return err
	}
	h.NameServer = udp.LocalAddr().String()
	tcp, err := net.Listen("tcp", h.NameServer)
	if err != nil {
		udp.Close()
		return err
	}
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: dns.HandlerFunc(h.answer)}, {Listener: tcp, Handler: dns.HandlerFunc(h.answer)}} {
		h.dns = append(h.dns, s)
		go s.ActivateAndServe()
	}
	return nil
}

// Close ends the hosts.
func (h *Hosts) Close() {
	for _, s := range h.dns {
		_ = s.Shutdown()
	}
	for _, l := range h.listened {
		l.Close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.conns {
		c.Close()
	}
}

// answer answers one question. For slow.test there is never an answer.
func (h *Hosts) answer(w dns.ResponseWriter, q *dns.Msg) {
	name := strings.ToLower(q.Question[0].Name)
	if strings.HasSuffix(name, ".slow.test.") {
		return
	}
	m := new(dns.Msg)
	m.SetReply(q)
	for _, record := range h.records(name) {
		rr, err := dns.NewRR(name + " 60 IN " + record)
		if err == nil && rr.Header().Rrtype == q.Question[0].Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(h.records(name)) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(m)
}

// records returns the records of a name: good.test takes the own mail, tN.test has a host
// that trickles and lets every host send for it, evil.test has a key, wide.test a policy
// of many questions.
func (h *Hosts) records(name string) []string {
	switch host, domain, _ := strings.Cut(name, "."); {
	case name == "good.test.":
		return []string{"MX 10 mx.good.test."}
	case name == "mx.good.test.":
		return []string{"A " + h.sink.String()}
	case name == "evil.test.":
		return []string{`TXT "v=spf1 +all"`}
	case name == "s._domainkey.evil.test.":
		return []string{fmt.Sprintf(`TXT "v=DKIM1; k=rsa; p=" %q %q`, h.key[:200], h.key[200:])}
	case name == "wide.test.":
		return []string{`TXT "v=spf1 mx:a.wide.test mx:b.wide.test mx:c.wide.test mx:d.wide.test mx:e.wide.test -all"`}
	case domain == "wide.test.":
		var all []string
		for i := range 10 {
			all = append(all, fmt.Sprintf("MX 1 %s%d.slow.test.", host, i))
		}
		return all
	case domain == "test." && isNumbered(host) && len(h.tricklers) > 0:
		return []string{"MX 10 mx." + name, `TXT "v=spf1 +all"`}
	case host == "mx" && strings.HasSuffix(domain, ".test.") && len(h.tricklers) > 0:
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(domain, "t"), ".test."))
		return []string{"A " + h.tricklers[n%len(h.tricklers)].String()}
	}
	return nil
}

// isNumbered reports whether a label is t and a number.
func isNumbered(label string) bool {
	digits, ok := strings.CutPrefix(label, "t")
	_, err := strconv.ParseUint(digits, 10, 31)
	return ok && err == nil
}

func (h *Hosts) accept(l net.Listener, play func(net.Conn)) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // no descriptor is left
			continue
		}
		h.mu.Lock()
		h.conns[c] = true
		h.mu.Unlock()
		go func() {
			play(c)
			c.Close()
			h.mu.Lock()
			delete(h.conns, c)
			h.mu.Unlock()
		}()
	}
}

// trickle is a host whose greeting has no end.
func (h *Hosts) trickle(c net.Conn) {
	h.trickled.Add(1)
	octets := "220-"
	for {
		if _, err := c.Write([]byte(octets)); err != nil {
			return
		}
		octets = "x"
		time.Sleep(time.Second)
	}
}

// take is the sink: it takes all mail, and reports messages with an idField.
func (h *Hosts) take(c net.Conn) {
	in := bufio.NewReader(c)
	say := func(reply string) bool { _, err := c.Write([]byte(reply + "\r\n")); return err == nil }
	for ok := say("220 sink"); ok; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(string(line[:min(len(line), 4)])); verb {
		case "EHLO":
			ok = say("250-sink\r\n250-PIPELINING\r\n250 8BITMIME")
		case "DATA":
			var ids []string
			if ok = say("354 go on"); ok {
				ids, ok = readMessage(in)
			}
			if ok {
				h.tell(ids)
				ok = say("250 taken")
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			ok = say("250 ok")
		}
	}
}

func (h *Hosts) tell(ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if h.arrived != nil {
			h.arrived(id)
		}
	}
}

// idField is a header field of own mail.
const idField = "X-Own: "

func readMessage(in *bufio.Reader) (ids []string, ok bool) {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, false
		}
		if id, is := bytes.CutPrefix(line, []byte(idField)); is {
			ids = append(ids, string(bytes.TrimSpace(id)))
		}
		if string(line) == ".\r\n" {
			return ids, true
		}
	}
}
