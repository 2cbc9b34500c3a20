package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is another host that takes mail: an SMTP receiver that behaves well or
// badly, as its manners say, and keeps all that it took.
type peer struct {
	host string // its address, such as 127.0.0.2

	listener net.Listener
	mu       sync.Mutex // guards what follows
	manners  manners
	taken    []taken
	tries    map[string]int // RCPT commands by recipient
	begun    map[string]time.Time
	open     map[net.Conn]bool
	done     bool
}

// taken is a message that a peer answers for.
type taken struct {
	from  string   // the argument of MAIL, with its parameters
	to    []string // the arguments of RCPT that were accepted, with parameters
	text  []byte   // dots undone, each line with CRLF
	with  string   // EHLO or HELO
	ahead bool     // the first RCPT came before MAIL was answered: PIPELINING
}

// manners are how a peer behaves. The zero value is a modern and friendly host.
type manners struct {
	greeting    string                                             // in place of the 220
	offers      []string                                           // keywords of EHLO in place of the usual ones
	noESMTP     bool                                               // EHLO is an unknown command
	hang        string                                             // sends nothing more from this stage on
	refuse      func(to string, try int, age time.Duration) string // the reply to a recipient; "": yes
	endOfData   func(m taken) (reply string, keep bool)            // "": closes without a reply
	connections int                                                // others get 421; 0: any number
	pause       time.Duration                                      // before the reply to a message
}

// The stages at which a peer can hang.
const (
	atGreeting = "greeting"
	atHello    = "EHLO"
	atMail     = "MAIL"
	atRcpt     = "RCPT"
	atData     = "DATA"
	atDot      = "dot"
)

// usual is what a peer offers.
var usual = []string{"PIPELINING", "SIZE 50000000", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"}

// startPeers runs peers at these addresses of the loopback network until the test
// ends, all at the same port, as mail hosts have it.
func startPeers(t *testing.T, hosts ...string) (port int, peers []*peer) {
	t.Helper()
	for range 20 {
		var listeners []net.Listener
		port = 0
		for _, host := range hosts {
			l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
			if err != nil {
				break
			}
			listeners = append(listeners, l)
			port = l.Addr().(*net.TCPAddr).Port
		}
		if len(listeners) < len(hosts) {
			for _, l := range listeners {
				l.Close()
			}
			continue
		}
		for i, l := range listeners {
			p := &peer{host: hosts[i], listener: l, tries: make(map[string]int), begun: make(map[string]time.Time), open: make(map[net.Conn]bool)}
			peers = append(peers, p)
			go p.accept(l)
			t.Cleanup(p.close)
		}
		return port, peers
	}
	t.Fatalf("no port is free at all of %v", hosts)
	return 0, nil
}

// behave changes a peer's manners from the next command on.
func (p *peer) behave(m manners) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.manners = m
}

// messages is all that was taken so far.
func (p *peer) messages() []taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.taken)
}

// total is how many messages were taken so far.
func (p *peer) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken)
}

// got is how many messages were taken for a recipient.
func (p *peer) got(to string) (n int) { return len(p.messagesFor(to)) }

// messagesFor returns the messages that were taken for a recipient.
func (p *peer) messagesFor(to string) (ms []taken) {
	for _, m := range p.messages() {
		if slices.ContainsFunc(m.to, func(arg string) bool { return strings.HasPrefix(arg, "<"+to+">") }) {
			ms = append(ms, m)
		}
	}
	return ms
}

// tried is how often a recipient was named to the peer.
func (p *peer) tried(to string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tries[to]
}

// close is a host that goes down: it answers no connection any more.
func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return
	}
	p.done = true
	p.listener.Close()
	for conn := range p.open {
		conn.Close()
	}
}

// reopen is a host that comes up again, at the same address.
func (p *peer) reopen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.listener, p.done = l, false
	p.mu.Unlock()
	go p.accept(l)
}

func (p *peer) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.open[conn] = true
		crowded := p.manners.connections > 0 && len(p.open) > p.manners.connections
		gone := p.done
		p.mu.Unlock()
		s := &peerSession{p: p, Conn: conn, in: bufio.NewReader(conn)}
		if gone {
			conn.Close()
			continue
		}
		go s.run(crowded)
	}
}

// peerSession is one connection with a peer.
type peerSession struct {
	net.Conn
	p  *peer
	in *bufio.Reader
	m  taken
}

func (s *peerSession) run(crowded bool) {
	defer func() {
		s.Close()
		s.p.mu.Lock()
		delete(s.p.open, s.Conn)
		s.p.mu.Unlock()
	}()
	greeting := s.manners().greeting
	switch {
	case crowded:
		s.say("421 4.7.0 too many connections from you")
		return
	case s.hangs(atGreeting):
		return
	case greeting != "":
		s.say(greeting)
	default:
		s.say("220 peer.test ESMTP")
	}
	for {
		line, err := s.in.ReadString('\n')
		if err != nil || !s.command(strings.TrimRight(line, "\r\n")) {
			return
		}
	}
}

func (s *peerSession) manners() manners {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.p.manners
}

// hangs waits without a word until the other side or the test has had enough, if
// the peer hangs at this stage.
func (s *peerSession) hangs(stage string) bool {
	if s.manners().hang != stage {
		return false
	}
	for {
		if _, err := s.in.Discard(1); err != nil {
			return true
		}
	}
}

func (s *peerSession) say(lines ...string) {
	fmt.Fprintf(s, "%s\r\n", strings.Join(lines, "\r\n"))
}

// command answers one command; false: the session is over.
func (s *peerSession) command(line string) bool {
	m := s.manners()
	verb, arg, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); verb {
	case "EHLO", "HELO":
		if s.hangs(atHello) {
			return false
		}
		s.hello(m, verb)
	case "MAIL":
		if s.hangs(atMail) {
			return false
		}
		s.m = taken{from: strings.TrimPrefix(arg, "FROM:"), with: s.m.with, ahead: s.in.Buffered() > 0}
		s.say("250 2.1.0 sender ok")
	case "RCPT":
		if s.hangs(atRcpt) {
			return false
		}
		s.recipient(m, strings.TrimPrefix(arg, "TO:"))
	case "DATA":
		return !s.hangs(atData) && s.data(m)
	case "RSET":
		s.m = taken{with: s.m.with}
		s.say("250 2.0.0 ok")
	case "QUIT":
		s.say("221 2.0.0 bye")
		return false
	default:
		s.say("500 5.5.2 what?")
	}
	return true
}

func (s *peerSession) hello(m manners, verb string) {
	if verb == "EHLO" && m.noESMTP {
		s.say("500 5.5.1 EHLO is not known here")
		return
	}
	s.m.with = verb
	lines := []string{"250-peer.test"}
	offers := usual
	if m.offers != nil {
		offers = m.offers
	}
	if verb == "EHLO" {
		for _, o := range offers {
			lines = append(lines, "250-"+o)
		}
	}
	last := len(lines) - 1
	lines[last] = "250 " + lines[last][4:]
	s.say(lines...)
}

func (s *peerSession) recipient(m manners, arg string) {
	to, _, _ := strings.Cut(strings.TrimPrefix(arg, "<"), ">")
	s.p.mu.Lock()
	s.p.tries[to]++
	try := s.p.tries[to]
	if try == 1 {
		s.p.begun[to] = time.Now()
	}
	age := time.Since(s.p.begun[to])
	s.p.mu.Unlock()
	if m.refuse != nil {
		if reply := m.refuse(to, try, age); reply != "" {
			s.say(reply)
			return
		}
	}
	s.m.to = append(s.m.to, arg)
	s.say("250 2.1.5 recipient ok")
}

// data takes a message; false: the session is over.
func (s *peerSession) data(m manners) bool {
	if len(s.m.to) == 0 {
		s.say("554 5.5.1 no valid recipients")
		return true
	}
	s.say("354 go on")
	for {
		line, err := s.in.ReadBytes('\n')
		if err != nil {
			return false
		}
		if bytes.Equal(line, []byte(".\r\n")) {
			break
		}
		s.m.text = append(s.m.text, bytes.TrimPrefix(line, []byte("."))...)
	}
	if s.hangs(atDot) {
		return false
	}
	reply, keep := "250 2.0.0 taken", true
	if m.endOfData != nil {
		reply, keep = m.endOfData(s.m)
	}
	time.Sleep(m.pause)
	if keep {
		s.p.mu.Lock()
		s.p.taken = append(s.p.taken, s.m)
		s.p.mu.Unlock()
	}
	s.m = taken{with: s.m.with}
	if reply == "" {
		return false
	}
	s.say(reply)
	return true
}

// refuseByName refuses recipients with a local part that begins with the reply's code:
// 550-x always, 450-x at the first try.
func refuseByName(to string, try int, _ time.Duration) string {
	code, _, _ := strings.Cut(to, "-")
	switch {
	case len(code) != 3 || code[0] == '4' && try > 1:
		return ""
	case code[0] == '4':
		return code + " 4.2.1 come again"
	case code[0] == '5':
		return code + " 5.1.1 no such user"
	}
	return ""
}

// greylist refuses each recipient until it is known for so long.
func greylist(d time.Duration) func(string, int, time.Duration) string {
	return func(_ string, _ int, age time.Duration) string {
		if age < d {
			return "450 4.7.1 greylisted, come again"
		}
		return ""
	}
}
