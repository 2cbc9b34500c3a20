package bench

import (
	"context"
	"fmt"
	"time"
)

// Fetch reads a maildrop by POP3. Addr, User and Password must be set.
type Fetch struct {
	Addr, User, Password string
	Mode                 Mode
	// Window is the number of commands on their way when pipelined; 0: 64.
	Window int
	// Limit is the number of messages to fetch; 0: all.
	Limit int
	// Delete marks each message that was read, and commits by QUIT.
	Delete bool
	// Each, unless nil, is given each message, dots undone. It is borrowed until
	// Each returns. An error ends the run.
	Each func(number int, message []byte) error
}

// Run fetches and returns after the answer to QUIT. The latency of a message is
// the time from the last command sent for it to its last octet.
func (f Fetch) Run(ctx context.Context) (Report, error) {
	begin := time.Now()
	report, err := f.session(ctx)
	report.Elapsed = time.Since(begin)
	return report, err
}

func (f Fetch) session(ctx context.Context) (report Report, err error) {
	c, err := Login(f.Addr, f.User, f.Password)
	if err != nil {
		return report, err
	}
	defer c.Close()
	sizes, err := c.Sizes()
	if err != nil {
		return report, fmt.Errorf("LIST: %w", err)
	}
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
		if err := f.group(c, &report, from, sizes[from:to]); err != nil {
			return report, err
		}
	}
	if err := c.Quit(); err != nil {
		return report, fmt.Errorf("QUIT: %w", err)
	}
	return report, ctx.Err()
}

// group sends the commands for the messages after number before in one go and
// reads the answers.
func (f Fetch) group(c *POP3Conn, report *Report, before int, sizes []int64) error {
	var commands []byte
	for i := range sizes {
		commands = fmt.Appendf(commands, "RETR %d\r\n", before+i+1)
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
		if int64(len(message)) != size {
			return fmt.Errorf("RETR %d sent %d octets, LIST said %d", number, len(message), size)
		}
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
		report.count(len(message), time.Since(begin))
	}
	return nil
}
