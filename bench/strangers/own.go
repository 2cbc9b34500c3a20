package strangers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"postrider/bench"
)

// What is timed of the own mail.
const (
	submission = iota // from the connect to the 250, with a login
	relayed           // from the connect to the 250
	delivered         // from the connect to the sink's 250
	polled            // from the connect to the end of QUIT
	health
	flows
)

var flowNames = [flows]string{"submission with a login", "relay, to its 250", "relay, to the next host", "POP3 poll", "health check"}

// ownMail is what was sent and has to arrive.
type ownMail struct {
	mu           sync.Mutex
	acknowledged map[string]bool      // and not read yet; under mu
	sent         map[string]time.Time // relayed mail, and when it began; under mu
	early        map[string]bool      // it has arrived before its 250 was read; under mu
}

// between is how long a flow waits before it goes on.
const between = 50 * time.Millisecond

// ownFlows starts the own mail.
func (r *Run) ownFlows(ctx context.Context, all *sync.WaitGroup) {
	r.own.sent, r.own.early = make(map[string]time.Time), make(map[string]bool)
	r.Hosts.mu.Lock()
	r.Hosts.arrived = r.arrive
	r.Hosts.mu.Unlock()
	flow := func(i int, once func(n int) error) {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				begin := time.Now()
				if err := once(n); err != nil {
					r.meters[i].Refuse(withoutNumbers(err.Error()))
				} else {
					r.meters[i].Count(0, time.Since(begin))
				}
				pause(ctx, between)
			}
		})
	}
	flow(submission, func(n int) error {
		client := bench.Client{Addr: r.Submission, User: r.User, Password: r.Password}
		return r.hand(&client, fmt.Sprintf("s%d", n), r.User+"@"+r.Domain)
	})
	flow(relayed, func(n int) error {
		return r.hand(&bench.Client{Addr: r.SMTP}, fmt.Sprintf("r%d", n), "someone@good.test")
	})
	flow(polled, func(int) error { return r.poll() })
	flow(health, func(int) error { return r.healthy() })
}

// withoutNumbers makes refusals equal that differ by a queue id or a port only.
func withoutNumbers(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return '#'
		}
		return c
	}, text[:min(len(text), 200)])
}

// hand sends one message of ours.
func (r *Run) hand(client *bench.Client, id, to string) error {
	relay := strings.HasPrefix(id, "r")
	if relay {
		r.own.mu.Lock()
		r.own.sent[id] = time.Now()
		r.own.mu.Unlock()
	}
	c, err := client.SMTP(bench.NewMeter())
	if err == nil {
		var reply bench.Reply
		message := idField + id + "\r\nFrom: " + r.User + "@" + r.Domain + "\r\nSubject: own mail\r\n\r\nThe post rider has the mail in his bag.\r\n"
		reply, err = c.Deliver(r.User+"@"+r.Domain, []string{to}, []byte(message))
		if err == nil && reply.Code != 250 {
			err = fmt.Errorf("%s", reply)
		}
		c.Close()
	}
	r.own.mu.Lock()
	defer r.own.mu.Unlock()
	switch {
	case err != nil:
		delete(r.own.sent, id)
	case !r.own.early[id]:
		r.own.acknowledged[id] = true
	}
	delete(r.own.early, id)
	return err
}

// arrive is called for each message that the sink has.
func (r *Run) arrive(id string) {
	r.own.mu.Lock()
	defer r.own.mu.Unlock()
	if begin, ok := r.own.sent[id]; ok {
		delete(r.own.sent, id)
		r.meters[delivered].Count(0, time.Since(begin))
		r.own.isThere(id)
	}
}

// isThere notes that a message has arrived, perhaps before its 250. The caller has mu.
func (o *ownMail) isThere(id string) {
	if o.acknowledged[id] {
		delete(o.acknowledged, id)
		return
	}
	o.early[id] = true
}

// poll reads what is in the maildrop, and deletes it.
func (r *Run) poll() error {
	client := bench.Client{Addr: r.POP3, User: r.User, Password: r.Password}
	c, err := client.POP3(bench.NewMeter())
	if err != nil {
		return err
	}
	defer c.Close()
	n, _, err := c.Stat()
	if err != nil {
		return err
	}
	var ids []string
	for i := range min(n, 20) {
		text, err := c.Retr(i + 1)
		if err != nil {
			return err
		}
		if _, rest, ok := bytes.Cut(text, []byte(idField)); ok {
			id, _, _ := bytes.Cut(rest, []byte("\r\n"))
			ids = append(ids, string(id))
		}
		if _, err := c.Cmd(fmt.Sprintf("DELE %d", i+1)); err != nil {
			return err
		}
	}
	if err := c.Quit(); err != nil {
		return err
	}
	r.own.mu.Lock()
	defer r.own.mu.Unlock()
	for _, id := range ids {
		r.own.isThere(id)
	}
	return nil
}

// healthy asks whether the server takes mail.
func (r *Run) healthy() error {
	ctx, cancel := context.WithTimeout(context.Background(), bench.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.HTTP+"/readyz", nil)
	if err != nil {
		return err
	}
	transport := http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	return nil
}

// maxSettle is how long own mail may be on its way after the attack.
const maxSettle = 2 * time.Minute

// missing is the own mail that was acknowledged and is nowhere.
func (r *Run) missing(ctx context.Context) []string {
	for end := time.Now().Add(maxSettle); time.Now().Before(end) && ctx.Err() == nil; {
		_ = r.poll()
		r.own.mu.Lock()
		left := len(r.own.acknowledged)
		r.own.mu.Unlock()
		if left == 0 {
			return nil
		}
		pause(ctx, between)
	}
	r.own.mu.Lock()
	defer r.own.mu.Unlock()
	var ids []string
	for id := range r.own.acknowledged {
		ids = append(ids, id)
	}
	return ids
}
