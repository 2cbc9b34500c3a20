package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	miekg "github.com/miekg/dns"
)

// servers asks the name servers in turn. It is safe for use by many goroutines.
type servers struct {
	addrs   []string
	timeout time.Duration
	rounds  int
	dnssec  DNSSEC
	// first is the server that answered last. It comes first, so that a dead server at the
	// head of the list does not cost a time-out for each question.
	first atomic.Int32
}

// bufferSize is the largest answer over UDP: it passes all paths without fragments (DNS flag
// day 2020). Longer answers come by TCP.
const bufferSize = 1232

// errAnswer marks an answer that is of no use. The server is alive, and would give the same
// answer again.
var errAnswer = errors.New("")

// ask returns the first answer with NOERROR or NXDOMAIN from any server. It tries silent
// servers again in the next round.
func (s *servers) ask(ctx context.Context, name string, qtype uint16) (*miekg.Msg, error) {
	out := make([]bool, len(s.addrs))
	var faults []string
	for range s.rounds {
		from := int(s.first.Load())
		for i := range s.addrs {
			n := (from + i) % len(s.addrs)
			if out[n] {
				continue
			}
			m, err := s.one(ctx, s.addrs[n], name, qtype)
			if err == nil {
				s.first.Store(int32(n))
				return m, nil
			}
			out[n] = errors.Is(err, errAnswer)
			if fault := s.addrs[n] + ": " + strings.TrimSpace(err.Error()); !slices.Contains(faults, fault) {
				faults = append(faults, fault)
			}
		}
	}
	return nil, errors.New(strings.Join(faults, "; "))
}

// one asks one server: by UDP, without EDNS0 if the server does not support it, by TCP if the
// answer is too long.
func (s *servers) one(ctx context.Context, addr, name string, qtype uint16) (*miekg.Msg, error) {
	q := new(miekg.Msg).SetQuestion(name, qtype).SetEdns0(bufferSize, false)
	q.AuthenticatedData = true // "we know what AD means" (RFC 6840 section 5.7)
	m, err := s.exchange(ctx, "udp", addr, q)
	if err == nil && (m.Rcode == miekg.RcodeFormatError || m.Rcode == miekg.RcodeNotImplemented) {
		q.Extra = nil
		m, err = s.exchange(ctx, "udp", addr, q)
	}
	if err == nil && m.Truncated {
		m, err = s.exchange(ctx, "tcp", addr, q)
	}
	if err != nil {
		return nil, err
	}
	m.AuthenticatedData = m.AuthenticatedData && s.trusts(addr)
	switch {
	case m.Rcode != miekg.RcodeSuccess && m.Rcode != miekg.RcodeNameError:
		return nil, fmt.Errorf("%s%w", rcode(m.Rcode), errAnswer)
	case !m.RecursionAvailable && !m.Authoritative && len(m.Answer) == 0:
		return nil, fmt.Errorf("no recursion: the server refers to other servers%w", errAnswer)
	}
	return m, nil
}

func rcode(n int) string {
	if s, ok := miekg.RcodeToString[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE %d", n)
}

// exchange sends q with a new port and id, and waits for the answer. Over UDP it ignores late
// and false answers: it fails only at the deadline.
func (s *servers) exchange(ctx context.Context, network, addr string, q *miekg.Msg) (*miekg.Msg, error) {
	deadline := time.Now().Add(s.timeout)
	dialer := net.Dialer{Deadline: deadline}
	socket, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, plain(err)
	}
	conn := &miekg.Conn{Conn: socket, UDPSize: bufferSize}
	defer conn.Close()
	_ = conn.SetDeadline(deadline)
	q.Id = miekg.Id()
	if err := conn.WriteMsg(q); err != nil {
		return nil, plain(err)
	}
	for {
		wire, err := conn.ReadMsgHeader(nil)
		if err != nil && !errors.Is(err, miekg.ErrShortRead) {
			return nil, plain(err)
		}
		m := new(miekg.Msg)
		fault := m.Unpack(wire)
		switch {
		case !answers(m, q):
			if network == "tcp" {
				return nil, fmt.Errorf("answer to another question%w", errAnswer)
			}
		case fault != nil && !m.Truncated:
			return nil, fmt.Errorf("malformed answer: %v%w", fault, errAnswer)
		default:
			return m, nil
		}
	}
}

// answers reports whether m is an answer to q. Servers may change the case of the name.
func answers(m, q *miekg.Msg) bool {
	if m.Id != q.Id || !m.Response || len(m.Question) != 1 {
		// With FORMERR a server may leave out the question that it can't read.
		return m.Id == q.Id && m.Response && len(m.Question) == 0 && m.Rcode == miekg.RcodeFormatError
	}
	a, b := m.Question[0], q.Question[0]
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}

// plain makes a short error of a network error, without our own port.
func plain(err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errors.New("timed out")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
