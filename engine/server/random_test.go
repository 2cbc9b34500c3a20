package server

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/storage"
)

// world is what the random clients know together: each message has a number, by
// which textOf makes it.
type world struct {
	*fixture
	t     *testing.T
	names []string

	mu       sync.Mutex
	messages []sentMessage
	deleted  map[int]map[int]bool // by account, by message: deleted after it was read
}

type sentMessage struct {
	size  int
	to    []int // accounts
	acked bool  // the 250 was read
	sent  bool  // its end was sent: it may be there without a 250
}

// TestRandomSessions lets many clients do legal and illegal things at once, leave
// in every way, stall and come again, under a budget that holds few of them. What
// got a 250 is in each maildrop once, what did not is there once or not at all, all
// of it unchanged, and nothing is booked, locked or counted when all have gone.
func TestRandomSessions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := start(t, func(c *config.Config) {
		withTLS(c)
		c.Limits.Memory = 2 << 20
		c.SMTP.MaxErrors, c.POP3.MaxErrors = 1000, 0
	}, nil)
	w := &world{fixture: f, t: t, deleted: make(map[int]map[int]bool)}
	w.names = f.addAccounts(t, 6)
	for i := range w.names {
		w.deleted[i] = make(map[int]bool)
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 8 {
				if i%4 == 0 {
					w.fetch(rnd)
				} else {
					w.submit(rnd)
				}
			}
		})
	}
	all.Wait()
	until(t, "no client is counted", func() bool { return f.connected() == 0 })
	until(t, "nothing is booked", func() bool { return f.budget.Used() == 0 && f.smtpsrv.Stats.CommitsOpen.Load() == 0 })
	for i := range w.names {
		f.maildropIsFree(t, storage.AccountID(i+4))
	}
	w.audit()
}

// compose makes a new message.
func (w *world) compose(rnd *rand.Rand) (n int, m sentMessage, text string) {
	m.size = 100 + rnd.IntN(2000)
	if rnd.IntN(4) == 0 {
		m.size = rnd.IntN(500<<10) + 100
	}
	m.to = rnd.Perm(len(w.names))[:1+rnd.IntN(3)]
	w.mu.Lock()
	defer w.mu.Unlock()
	n = len(w.messages)
	w.messages = append(w.messages, m)
	return n, m, textOf(n, m.size)
}

func (w *world) note(n int, change func(*sentMessage)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.messages[n])
}

// meet connects in clear text or within TLS.
func (w *world) meet(rnd *rand.Rand, clear, within []netip.AddrPort) *peer {
	if rnd.IntN(2) == 0 {
		return dial(w.t, clear[0].String())
	}
	return dialTLS(w.t, within[0], version(tls.VersionTLS12+uint16(rnd.IntN(2))))
}

// reply reads a whole SMTP reply; "" when the connection is over.
func (p *peer) reply() string {
	for {
		l, err := p.r.ReadString('\n')
		if err != nil {
			return ""
		}
		if len(l) > 3 && l[3] == ' ' {
			return l
		}
	}
}

// submit is one SMTP session.
func (w *world) submit(rnd *rand.Rand) {
	p := w.meet(rnd, w.SMTPAddrs(), w.SMTPSAddrs())
	defer p.Close()
	p.reply()
	io.WriteString(p, "EHLO c\r\n")
	p.reply()
	for range 1 + rnd.IntN(3) {
		if rnd.IntN(4) == 0 { // nonsense
			io.WriteString(p, "RCPT TO:<x>\r\nFROB\r\nDATA\r\nMAIL FROM:<a@b>\r\nRCPT TO:<nobody@localhost>\r\nBDAT 5\r\nabcdeDATA\r\nRSET\r\n")
			for range 8 {
				p.reply()
			}
		}
		n, m, text := w.compose(rnd)
		ask := func(line string) bool {
			io.WriteString(p, line+"\r\n")
			r := p.reply()
			for strings.HasPrefix(r, "452 4.3.1") { // over budget
				time.Sleep(time.Millisecond)
				io.WriteString(p, line+"\r\n")
				r = p.reply()
			}
			return strings.HasPrefix(r, "2") || strings.HasPrefix(r, "354")
		}
		envelope := ask("MAIL FROM:<a@b.test>")
		for _, to := range m.to {
			envelope = ask("RCPT TO:<"+w.names[to]+"@localhost>") && envelope
		}
		if !envelope {
			w.t.Error("an envelope was refused")
			return
		}
		if !w.transmit(p, rnd, n, text, ask) {
			return
		}
	}
	if rnd.IntN(2) == 0 {
		io.WriteString(p, "QUIT\r\n")
		p.reply()
	}
}

// transmit sends message n in some way and reports whether the session goes on.
func (w *world) transmit(p *peer, rnd *rand.Rand, n int, text string, ask func(string) bool) bool {
	sent := func() { w.note(n, func(m *sentMessage) { m.sent = true }) }
	await := func() bool {
		r := p.reply()
		if strings.HasPrefix(r, "250 2.0.0") {
			w.note(n, func(m *sentMessage) { m.acked = true })
			return true
		}
		w.t.Errorf("message %d got %q", n, r)
		return false
	}
	half := rnd.IntN(len(text))
	switch rnd.IntN(9) {
	case 0: // leaves in the middle
		ask("DATA")
		io.WriteString(p, text[:half])
		if rnd.IntN(2) == 0 {
			p.SetLinger(0)
		}
		return false
	case 1: // half-closes in the middle
		ask("DATA")
		io.WriteString(p, text[:half])
		p.CloseWrite()
		if r := p.reply(); strings.HasPrefix(r, "250") {
			w.t.Errorf("half of message %d got %q", n, r)
		}
		return false
	case 2: // half-closes after the end
		ask("DATA")
		sent()
		io.WriteString(p, text+".\r\nQUIT\r\n")
		p.CloseWrite()
		await()
		if r := p.reply(); !strings.HasPrefix(r, "221") {
			w.t.Errorf("QUIT got %q", r)
		}
		return false
	case 3: // leaves without an answer
		ask("DATA")
		sent()
		io.WriteString(p, text+".\r\n")
		return false
	case 4: // a bare line feed, then RSET
		ask("DATA")
		io.WriteString(p, text[:half]+"x\r\nx\ny\r\n.\r\n") // x: half may end after a dot
		if r := p.reply(); !strings.HasPrefix(r, "550") {
			w.t.Errorf("a bare LF got %q", r)
		}
		return true
	case 5: // chunks, pipelined
		text := strings.ReplaceAll(text, "\r\n..", "\r\n.") // BDAT stuffs nothing
		half = min(half, len(text)-1)
		sent()
		go io.WriteString(p, fmt.Sprintf("BDAT %d\r\n%sBDAT %d\r\n%sBDAT 0 LAST\r\n",
			half, text[:half], len(text)-half, text[half:]))
		p.reply()
		p.reply()
		return await()
	case 6: // takes back a chunk
		io.WriteString(p, fmt.Sprintf("BDAT %d\r\n%sRSET\r\n", half, text[:half]))
		p.reply()
		p.reply()
		return true
	case 7: // slowly
		ask("DATA")
		sent()
		for ; len(text) > half; text = text[half/4+1:] {
			io.WriteString(p, text[:half/4+1])
			time.Sleep(time.Millisecond)
		}
	default:
		ask("DATA")
		sent()
	}
	io.WriteString(p, text+".\r\n")
	return await()
}

// fetch is one POP3 session: it reads, deletes, and leaves, in order or not.
func (w *world) fetch(rnd *rand.Rand) {
	who := rnd.IntN(len(w.names))
	p := w.meet(rnd, w.POP3Addrs(), w.POP3SAddrs())
	defer p.Close()
	p.expect("+OK")
	p.say("USER "+w.names[who], "+OK")
	io.WriteString(p, "PASS secret\r\n")
	status := p.line()
	if !strings.HasPrefix(status, "+OK") {
		if !strings.HasPrefix(status, "-ERR [IN-USE]") {
			w.t.Error(status)
		}
		return
	}
	order := rnd.Perm(number(w.t, strings.Fields(p.say("STAT", "+OK "))[1]))
	if rnd.IntN(2) == 0 {
		for i := range order {
			order[i] = i
		}
	}
	order = order[:min(len(order), 20)]
	var marked []int
	for _, i := range order {
		switch rnd.IntN(20) {
		case 0: // stalls with a message on its way, and leaves
			p.send(strings.Repeat(fmt.Sprintf("RETR %d\r\n", i+1), 10))
			time.Sleep(time.Millisecond)
			if rnd.IntN(2) == 0 {
				p.SetLinger(0)
			}
			return
		case 1: // half-closes; DELE without QUIT is nothing
			p.send(fmt.Sprintf("RETR %d\r\nDELE %d\r\n", i+1, i+1))
			p.CloseWrite()
			p.expect("+OK")
			p.listing()
			p.expect("+OK")
			p.end()
			return
		case 2, 3, 4:
			p.send(fmt.Sprintf("TOP %d 0\r\nFROB\r\n", i+1))
			p.expect("+OK")
			p.listing()
			p.expect("-ERR")
		}
		status := p.say(fmt.Sprintf("RETR %d", i+1), "+OK")
		text := p.listing()
		if strings.Fields(status)[1] != fmt.Sprint(len(text)) {
			w.t.Errorf("%q, but %d octets came", status, len(text))
		}
		n := w.check(text)
		if rnd.IntN(2) == 0 {
			p.say(fmt.Sprintf("DELE %d", i+1), "+OK")
			marked = append(marked, n)
		}
	}
	if rnd.IntN(3) == 0 {
		return // nothing is deleted
	}
	p.say("QUIT", "+OK")
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range marked {
		if w.deleted[who][n] {
			w.t.Errorf("message %d was deleted twice by %s", n, w.names[who])
		}
		w.deleted[who][n] = true
	}
}

// check compares what was read with what was sent, and returns its number.
func (w *world) check(text string) (n int) {
	_, text, _ = strings.Cut(text, "\r\nX: ")
	line, _, _ := strings.Cut(text, "\r\n")
	n = number(w.t, line)
	w.mu.Lock()
	size := w.messages[n].size
	w.mu.Unlock()
	if "X: "+text != unstuffed(textOf(n, size)) {
		w.t.Errorf("message %d is not what was sent", n)
	}
	return n
}

// audit looks at what all have left.
func (w *world) audit() {
	acked := 0
	there := make([]map[int]int, len(w.names))
	for who, name := range w.names {
		there[who] = make(map[int]int)
		for n := range w.deleted[who] {
			there[who][n]++
		}
		p := w.login(w.t, name)
		for i := range number(w.t, strings.Fields(p.say("STAT", "+OK "))[1]) {
			p.say(fmt.Sprintf("RETR %d", i+1), "+OK")
			there[who][w.check(p.listing())]++
		}
		p.say("QUIT", "+OK")
	}
	for n, m := range w.messages {
		for who := range w.names {
			meant := false
			for _, to := range m.to {
				meant = meant || to == who
			}
			switch got := there[who][n]; {
			case got > 1, got == 1 && !(meant && m.sent), got == 0 && meant && m.acked:
				w.t.Errorf("message %d (sent %v, acked %v, to %v) is %d times with %s", n, m.sent, m.acked, m.to, got, w.names[who])
			}
		}
		if m.acked {
			acked++
		}
	}
	w.t.Logf("%d messages, %d of them accepted", len(w.messages), acked)
	if acked == 0 {
		w.t.Error("no message was accepted")
	}
}
