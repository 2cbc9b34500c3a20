package bench

import (
	"context"
	"fmt"
	"time"
)

// Fetch reads a maildrop by POP3. Addr, User and Password must be set.
type Fetch struct {
	Addr, User, Password string
	// Client says how sessions begin; its Addr, User and Password are those of
	// Fetch unless set.
	Client Client
	Mode   Mode
	// Window is the number of commands on their way when pipelined; 0: 64.
	Window int
	// Limit is the number of messages to fetch; 0: all.
	Limit int
	// Delete marks each message that was read, and commits by QUIT.
	Delete bool
	// Each, unless nil, is given each message, dots undone. It is borrowed until
	// Each returns. An error ends the run.
	Each func(number int, message []byte) error
	// Top, unless 0, reads the header and Top-1 lines by TOP in place of RETR.
	Top int
	// Meter, unless nil, counts; a display can watch it.
	Meter *Meter
}

// Run fetches and returns after the answer to QUIT. The latency of a message is
// the time from the last command sent for it to its last octet.
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

func (f Fetch) session(ctx context.Context) error {
	c, err := f.Client.POP3(f.Meter)
	if err != nil {
		return err
	}
	defer c.Close()
	begin := time.Now()
	sizes, err := c.Sizes()
	if err != nil {
		return fmt.Errorf("LIST: %w", err)
	}
	f.Meter.Time(StageList, time.Since(begin))
	if f.Limit > 0 && f.Limit < len(sizes) {
		sizes = sizes[:f.Limit]
	}
	window := 1
	if f.Mode == Pipelined {
		window = f.Window
		if window == 0 {
			window = 64
		}
	}
	for from := 0; from < len(sizes) && ctx.Err() == nil; from += window {
		to := min(from+window, len(sizes))
		if err := f.group(c, from, sizes[from:to]); err != nil {
			return err
		}
	}
	if err := c.Quit(); err != nil {
		return fmt.Errorf("QUIT: %w", err)
	}
	return ctx.Err()
}

// group sends the commands for the messages after number before in one go and
// reads the answers.
func (f Fetch) group(c *POP3Conn, before int, sizes []int64) error {
	var commands []byte
	for i := range sizes {
		if f.Top > 0 {
			commands = fmt.Appendf(commands, "TOP %d %d\r\n", before+i+1, f.Top-1)
		} else {
			commands = fmt.Appendf(commands, "RETR %d\r\n", before+i+1)
		}
		if f.Delete {
			commands = fmt.Appendf(commands, "DELE %d\r\n", before+i+1)
		}
	}
	if err := c.Send(commands); err != nil {
		return err
	}
	begin := time.Now()
	var message []byte
	for i, size := range sizes {
		number := before + i + 1
		if _, err := c.Status(); err != nil {
			return fmt.Errorf("RETR %d: %w", number, err)
		}
		var err error
		if message, err = c.Multi(message[:0]); err != nil {
			return fmt.Errorf("RETR %d: %w", number, err)
		}
		if f.Top == 0 && int64(len(message)) != size {
			return fmt.Errorf("RETR %d sent %d octets, LIST said %d", number, len(message), size)
		}
		took := time.Since(begin)
		f.Meter.Time(StageRetr, took)
		if f.Each != nil {
			if err := f.Each(number, message); err != nil {
				return fmt.Errorf("message %d: %w", number, err)
			}
		}
		if f.Delete {
			if _, err := c.Status(); err != nil {
				return fmt.Errorf("DELE %d: %w", number, err)
			}
		}
		f.Meter.Count(len(message), took)
	}
	return nil
}
