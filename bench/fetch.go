package bench

import (
	"context"
	"fmt"
	"time"
)

// Fetch reads a maildrop by POP3. Addr, User and Password must be set.
type Fetch struct {
	Addr, User, Password string
	// Client says how sessions begin; its Addr, User and Password are taken from
	// Fetch unless set.
	Client Client
	Mode   Mode
	// Window is the number of messages with commands under way when pipelined;
	// 0: 64.
	Window int
	// Limit is the number of messages to fetch; 0: all.
	Limit int
	// Delete marks each message that was read, and commits by QUIT.
	Delete bool
	// Each, unless nil, is given each message that RETR or TOP read, dots undone. It
	// is borrowed until Each returns. An error ends the run.
	Each func(number int, message []byte) error
	// Top, unless 0, reads the header and Top-1 lines by TOP in place of RETR.
	Top int
	// Profile, unless nil, says which commands are given in place of LIST, RETR (or
	// TOP) and, if Delete is set, DELE. Its TOP is for Top-1 lines, or none.
	Profile Profile
	// Meter, unless nil, counts; a display can watch it.
	Meter *Meter
}

// Run fetches and returns after the answer to QUIT. The latency of a message is
// the time from the first command for it, or the write that it is in when pipelined, to
// the last octet of the answers. With a profile without commands for messages, the
// session counts as one message.
func (f Fetch) Run(ctx context.Context) (Report, error) {
	if f.Client.Addr == "" {
		f.Client.Addr = f.Addr
	}
	if f.Client.User == "" {
		f.Client.User, f.Client.Password = f.User, f.Password
	}
	if f.Meter == nil {
		f.Meter = NewMeter()
	}
	begin := time.Now()
	err := f.session(ctx)
	report := f.Meter.Report()
	report.Elapsed = time.Since(begin)
	return report, err
}

// profile returns the profile in effect.
func (f Fetch) profile() Profile {
	if f.Profile != nil {
		return f.Profile
	}
	p := Profile{{StageList, 100}, {StageRetr, 100}}
	if f.Top > 0 {
		p[1].Stage = StageTop
	}
	if f.Delete {
		p = append(p, Command{StageDele, 100})
	}
	return p
}

// A fetchSession is one session of a Fetch.
type fetchSession struct {
	Fetch
	conn     *POP3Conn
	once     []Command // asked once
	each     []Command // asked for each message
	messages int       // -1: not known yet
	sizes    []int64   // by LIST; nil: unknown
	out      []byte
	message  []byte
}

func (f Fetch) session(ctx context.Context) error {
	begin := time.Now()
	c, err := f.Client.POP3(f.Meter)
	if err != nil {
		return err
	}
	defer c.Close()
	v := fetchSession{Fetch: f, conn: c, messages: -1}
	for _, e := range f.profile() {
		if e.once() {
			v.once = append(v.once, e)
		} else {
			v.each = append(v.each, e)
		}
	}
	if err := v.survey(); err != nil {
		return err
	}
	window := 1
	if f.Mode == Pipelined {
		if window = f.Window; window == 0 {
			window = 64
		}
	}
	count := v.messages
	if f.Limit > 0 {
		count = min(count, f.Limit)
	}
	for from := 0; from < count && len(v.each) > 0 && ctx.Err() == nil; from += window {
		if err := v.group(from, min(from+window, count)); err != nil {
			return err
		}
	}
	asked := time.Now()
	if err := c.Quit(); err != nil {
		return fmt.Errorf("QUIT: %w", err)
	}
	f.Meter.Time(StageQuit, time.Since(asked))
	if len(v.each) == 0 {
		f.Meter.Count(0, time.Since(begin))
	}
	return ctx.Err()
}

// survey sends STAT, LIST and UIDL, in one write when pipelined.
func (v *fetchSession) survey() error {
	ask := func(commands []Command) error {
		v.out = v.out[:0]
		for _, e := range commands {
			v.out = append(append(v.out, verbs[e.Stage]...), "\r\n"...)
		}
		if err := v.conn.Send(v.out); err != nil {
			return err
		}
		begin := time.Now()
		for _, e := range commands {
			if err := v.count(e); err != nil {
				return fmt.Errorf("%s: %w", verbs[e.Stage], err)
			}
			v.Meter.Time(e.Stage, time.Since(begin))
		}
		return nil
	}
	if v.Mode == Pipelined {
		return ask(v.once)
	}
	for i := range v.once {
		if err := ask(v.once[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// count reads the answer to STAT, LIST or UIDL. They have to agree.
func (v *fetchSession) count(e Command) (err error) {
	var n int
	switch e.Stage {
	case StageStat:
		n, _, err = v.conn.readStat()
	case StageList:
		v.sizes, err = v.conn.readSizes()
		n = len(v.sizes)
	default:
		n, err = v.conn.readIDs()
	}
	if err != nil {
		return err
	}
	if v.messages >= 0 && v.messages != n {
		return fmt.Errorf("%d messages, but the command before said %d", n, v.messages)
	}
	v.messages = n
	return nil
}

// verbs are the commands by stage.
var verbs = map[Stage]string{StageStat: "STAT", StageList: "LIST", StageUidl: "UIDL", StageTop: "TOP", StageRetr: "RETR", StageDele: "DELE"}

// group gives the commands for the messages from number from+1 to number to, in one
// write when pipelined, and reads the answers.
func (v *fetchSession) group(from, to int) error {
	if v.Mode == Pipelined {
		v.out = v.out[:0]
		for number := from + 1; number <= to; number++ {
			for _, e := range v.each {
				v.command(e, number)
			}
		}
		if err := v.conn.Send(v.out); err != nil {
			return err
		}
	}
	begin := time.Now()
	for number := from + 1; number <= to; number++ {
		octets, did, took := 0, false, time.Duration(0)
		first := begin
		for _, e := range v.each {
			if !e.takes(number) {
				continue
			}
			if v.Mode == Step {
				v.out = v.out[:0]
				v.command(e, number)
				if err := v.conn.Send(v.out); err != nil {
					return err
				}
				if begin = time.Now(); !did {
					first = begin
				}
			}
			n, err := v.answer(e, number)
			if err != nil {
				return fmt.Errorf("%s %d: %w", verbs[e.Stage], number, err)
			}
			v.Meter.Time(e.Stage, time.Since(begin))
			took = time.Since(first)
			octets, did = octets+n, true
			if v.Each != nil && e.Stage != StageDele {
				if err := v.Each(number, v.message); err != nil {
					return fmt.Errorf("message %d: %w", number, err)
				}
			}
		}
		if did {
			v.Meter.Count(octets, took)
		}
	}
	return nil
}

// command appends a command for a message.
func (v *fetchSession) command(e Command, number int) {
	switch {
	case !e.takes(number):
	case e.Stage == StageTop:
		v.out = fmt.Appendf(v.out, "TOP %d %d\r\n", number, max(v.Top-1, 0))
	default:
		v.out = fmt.Appendf(v.out, "%s %d\r\n", verbs[e.Stage], number)
	}
}

// answer reads the answer to a command and returns the octets of the message in it.
func (v *fetchSession) answer(e Command, number int) (octets int, err error) {
	if _, err = v.conn.Status(); err != nil || e.Stage == StageDele {
		return 0, err
	}
	if v.message, err = v.conn.Multi(v.message[:0]); err != nil {
		return 0, err
	}
	if e.Stage == StageRetr && v.sizes != nil && int64(len(v.message)) != v.sizes[number-1] {
		return 0, fmt.Errorf("got %d octets, but LIST said %d", len(v.message), v.sizes[number-1])
	}
	return len(v.message), nil
}
