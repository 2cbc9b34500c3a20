package dnstest

import (
	"fmt"
	"maps"
	"net"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is a DNS server on one address. Its zone and its behaviour may change while it runs.
type Server struct {
	addr    string
	running []*dns.Server
	done    chan struct{}
	close   sync.Once

	// mu guards the fields below.
	mu      sync.Mutex
	zone    zone
	behave  map[question]Behaviour
	asked   map[question]int
	overTCP int
	vouched map[string]bool
}

type question struct {
	name  string // canonical: lower case, with the final dot
	qtype uint16
}

// Start runs a server on a free port of 127.0.0.1 until the test ends.
func Start(tb testing.TB, records ...string) *Server {
	tb.Helper()
	s, err := Listen("127.0.0.1:0", records...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// Listen runs a server on HOST:PORT, port 0 for a free one, with these records in
// its zone. They are written as in a zone file: "example.org. 300 IN MX 10 mx.example.org.".
func Listen(addr string, records ...string) (*Server, error) {
	s := &Server{
		done:    make(chan struct{}),
		zone:    make(zone),
		behave:  make(map[question]Behaviour),
		asked:   make(map[question]int),
		vouched: make(map[string]bool),
	}
	if err := s.Add(records...); err != nil {
		return nil, err
	}
	packets, streams, err := listen(addr)
	if err != nil {
		return nil, err
	}
	s.addr = packets.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s, UDPSize: dns.MaxMsgSize}, {Listener: streams, Handler: s}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }()
		<-started
		s.running = append(s.running, server)
	}
	return s, nil
}

// listen takes the same port for UDP and for TCP. A port that is free for UDP may be taken
// for TCP, so it tries several times.
func listen(addr string) (packets net.PacketConn, streams net.Listener, err error) {
	for range 20 {
		if packets, err = net.ListenPacket("udp", addr); err != nil {
			return nil, nil, err
		}
		if streams, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, streams, nil
		}
		_ = packets.Close()
	}
	return nil, nil, err
}

// Addr is HOST:PORT, for UDP and TCP.
func (s *Server) Addr() string { return s.addr }

// Close ends the server. It drops delayed answers.
func (s *Server) Close() (err error) {
	s.close.Do(func() {
		close(s.done)
		for _, server := range s.running {
			if e := server.Shutdown(); e != nil {
				err = e
			}
		}
	})
	return err
}

// Add adds records to the zone.
func (s *Server) Add(records ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range records {
		if err := s.zone.add(text); err != nil {
			return err
		}
	}
	return nil
}

// Set replaces a name's records. Without records it removes the name.
func (s *Server) Set(name string, records ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := maps.Clone(s.zone)
	delete(fresh, dns.CanonicalName(name))
	for _, text := range records {
		if err := fresh.add(text); err != nil {
			return err
		}
	}
	s.zone = fresh
	return nil
}

// Behave sets how questions for a name and type are answered from now on. dns.TypeANY means
// all types; the zero Behaviour answers well.
func (s *Server) Behave(name string, qtype uint16, b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behave[question{dns.CanonicalName(name), qtype}] = b
}

// Vouch sets the AD bit in answers about these names and all names under them, if the
// question has it. There are no signatures.
func (s *Server) Vouch(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.vouched[dns.CanonicalName(name)] = true
	}
}

// Asked is how often a question came, over UDP and TCP together. dns.TypeANY counts all
// types.
func (s *Server) Asked(name string, qtype uint16) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q, times := range s.asked {
		if q.name == dns.CanonicalName(name) && (qtype == dns.TypeANY || qtype == q.qtype) {
			n += times
		}
	}
	return n
}

// OverTCP is how many questions came over TCP.
func (s *Server) OverTCP() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overTCP
}

// Questions is how many questions came in all.
func (s *Server) Questions() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.asked {
		n += times
	}
	return n
}

// zone holds records by the canonical name of their owner.
type zone map[string][]dns.RR

func (z zone) add(text string) error {
	rr, err := dns.NewRR(text)
	if err != nil {
		return fmt.Errorf("the record %q: %w", text, err)
	}
	if rr == nil {
		return fmt.Errorf("the record %q is empty", text)
	}
	owner := dns.CanonicalName(rr.Header().Name)
	z[owner] = append(z[owner], rr)
	return nil
}
