package screen

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"blitiri.com.ar/go/spf"

	"postrider/engine/admit/policy"
	"postrider/engine/edge/dns"
)

// Envelope is what is known of a message before its first octet.
type Envelope struct {
	IP     netip.Addr
	Helo   string
	Sender string // the reverse-path as text; "": the null path

	Name, Addr string  // the client in the log: Name[Addr]
	Client     *Client // what DNS has about it; nil: nothing is known
}

// SPFResult is the outcome of SPF (RFC 7208): of the reverse-path, or of the name in
// HELO where that path is null.
type SPFResult struct {
	Result Result
	Domain string
	Helo   bool // it was the name in HELO
}

// Verdict has all results of the checks of a message.
type Verdict struct {
	SPF        SPFResult
	Signatures []Signature // none: it is not signed
	DMARC      DMARCResult
	Busy       bool // there was no memory for the check: nothing is known
}

// Check is one message that is being checked.
type Check struct {
	vetter  *Vetter
	env     Envelope
	stream  *stream
	booking booking
	ctx     context.Context // its questions are a stranger's
	budget  *dns.Budget
	ofSPF   *dns.Budget // see maxSPF
	cancel  context.CancelFunc
	roll    int

	verdict Verdict // owned by the goroutines, until done
	done    chan struct{}
}

// begin starts to check a message with a zero Check. Either Finish or Abort has to be called.
func (c *Check) begin(v *Vetter, env Envelope) {
	c.init(v, env)
	c.ctx, c.cancel = context.WithCancel(dns.ForStranger(context.Background(), c.budget))
	if !c.booking.grow(SmallCheck) {
		c.refuse()
		return
	}
	go c.run()
}

// beginBusy is begin for a message that can't be checked now: its Verdict is Busy.
func (c *Check) beginBusy(v *Vetter, env Envelope) {
	c.init(v, env)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.refuse()
}

func (c *Check) init(v *Vetter, env Envelope) {
	env.IP = env.IP.Unmap().WithZone("")
	c.vetter, c.env, c.booking.memory, c.roll, c.done = v, env, v.Memory, rand.IntN(100), make(chan struct{})
	c.stream = newStream(func() bool { return c.booking.grow(LargeCheck) })
	c.budget, c.ofSPF = dns.NewBudget(maxSignatures+2*maxAuthors), dns.NewBudget(maxSPF)
}

func (c *Check) refuse() {
	c.stream.abort()
	c.verdict.Busy = true
	close(c.done)
}

// Write takes a copy of octets of the message, in wire form. It never waits.
func (c *Check) Write(octets []byte) { c.stream.write(octets) }

// isFull reports whether much waits to be looked at.
func (c *Check) isFull() bool { return c.stream.isFull() }

// Full reports whether much waits to be looked at: the caller should take no more from
// the client until room is called, on another goroutine.
func (c *Check) Full(room func()) bool { return c.stream.full(room) }

// Finish reports that the message is whole. report is called on another goroutine when
// the Verdict is there; after timeout the work ends, and what is not known by then is a
// TempError.
func (c *Check) Finish(timeout time.Duration, report func()) {
	c.stream.end()
	late := time.AfterFunc(timeout, c.cancel)
	go func() {
		<-c.done
		late.Stop()
		c.cancel()
		report()
	}()
}

// Abort gives the message up. It never waits.
func (c *Check) Abort() {
	c.cancel()
	c.stream.abort()
}

// Questions is how many questions name servers were asked for it so far.
func (c *Check) Questions() int { return c.budget.Asked() + c.ofSPF.Asked() }

// Verdict returns the verdict, once report was called.
func (c *Check) Verdict() *Verdict { return &c.verdict }

// run is the goroutine of the message.
func (c *Check) run() {
	defer close(c.done)
	defer c.settle()
	v := &c.verdict
	var side sync.WaitGroup
	v.SPF, v.DMARC.Result = c.sender(), TempError
	side.Go(func() {
		defer c.rescue()
		v.SPF = c.spf()
	})
	defer side.Wait()
	defer c.rescue()
	froms, signatures, err := c.signatures()
	if err != nil { // given up, or no memory
		c.cancel()
		c.stream.abort()
		return
	}
	v.Signatures = signatures
	side.Wait()
	v.DMARC = c.dmarc(froms)
}

// settle gives back what was booked.
func (c *Check) settle() {
	c.verdict.Busy = c.booking.isOver()
	c.booking.end()
}

// rescue makes a panic of a library, which reads what strangers wrote, a TempError.
func (c *Check) rescue() {
	if p := recover(); p != nil {
		c.stream.abort()
		if c.vetter.Panicked != nil {
			c.vetter.Panicked(p)
		}
	}
}

// maxSPF is how many questions a record may lead to. RFC 7208 section 4.6.4 allows ten
// terms, and ten hosts for each mx: all of that is 210 questions, and more than any
// record that is meant well. It has a budget of its own: what a sender's record uses up is
// not missing for the author's DMARC record, or it would be a way around it.
const maxSPF = 100

// sender is the address that SPF is about to check.
func (c *Check) sender() SPFResult {
	if c.env.Sender == "" {
		return SPFResult{Result: TempError, Domain: asDomain(c.env.Helo), Helo: true}
	}
	return SPFResult{Result: TempError, Domain: domainOf(c.env.Sender)}
}

// spf checks the sender.
func (c *Check) spf() SPFResult {
	r := c.sender()
	sender := c.env.Sender
	if r.Helo {
		sender = "postmaster@" + r.Domain
	}
	if r.Domain == "" {
		r.Result = None
		return r
	}
	outcome, _ := spf.CheckHostWithSender(net.IP(c.env.IP.AsSlice()), asDomain(c.env.Helo), sender,
		spf.WithResolver(c.vetter.Names), spf.WithContext(dns.ForStranger(c.ctx, c.ofSPF)))
	r.Result = Result(outcome)
	if c.ofSPF.Spent() && r.Result != Pass && r.Result != Fail {
		r.Result = PermError
	}
	if c.ctx.Err() != nil && r.Result != Pass && r.Result != Fail {
		r.Result = TempError
	}
	return r
}

// facts returns what package policy needs for DMARC: the domains whose check had the outcome.
func (v *Verdict) facts(from string, outcome Result) policy.DMARCFacts {
	f := policy.DMARCFacts{From: from}
	if v.SPF.Result == outcome {
		f.SPF = v.SPF.Domain
	}
	for _, s := range v.Signatures {
		if s.Result == outcome && s.Domain != "" {
			f.DKIM = append(f.DKIM, s.Domain)
		}
	}
	return f
}

// Signed returns the best result of the signatures, in one word.
func (v *Verdict) Signed() string {
	best := None
	for _, s := range v.Signatures {
		if s.Result == Pass {
			return string(Pass)
		}
		if best == None || s.Result == TempError {
			best = s.Result
		}
	}
	return string(best)
}
