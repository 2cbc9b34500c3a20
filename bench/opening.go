package bench

import (
	"bytes"
	"fmt"
	"time"
)

// Opening has the times to open one maildrop and to list it. A reader waits for all of
// them but UIDL; each begins when its command was sent.
type Opening struct {
	Messages int           `json:"messages"` // by STAT
	First    time.Duration `json:"first_ns"` // from PASS to the first octet of its answer
	Pass     time.Duration `json:"pass_ns"`  // from PASS to the end of its answer
	Stat     time.Duration `json:"stat_ns"`  // from PASS to the end of STAT's answer
	List     time.Duration `json:"list_ns"`  // LIST of all
	UIDL     time.Duration `json:"uidl_ns"`  // UIDL of all
}

// Open logs in, asks STAT and, if all is set, LIST and UIDL of the whole maildrop. User
// and Password must be set. A wait may last as long as patience: a server may have to
// read the maildrop first. A listing with another number of lines than STAT said is an
// error.
func (c *Client) Open(patience time.Duration, all bool) (o Opening, err error) {
	anonymous := *c
	anonymous.User = ""
	p, err := anonymous.POP3(NewMeter())
	if err != nil {
		return o, err
	}
	defer p.Close()
	if _, err := p.Cmd("USER " + c.User); err != nil {
		return o, err
	}
	begin := time.Now()
	if err := p.Send([]byte("PASS " + c.Password + "\r\n")); err != nil {
		return o, err
	}
	p.SetReadDeadline(begin.Add(patience))
	if _, err := p.r.Peek(1); err != nil {
		return o, fmt.Errorf("waiting for the answer to PASS: %w", err)
	}
	o.First = time.Since(begin)
	if _, err := p.Status(); err != nil {
		return o, fmt.Errorf("PASS: %w", err)
	}
	o.Pass = time.Since(begin)
	if o.Messages, _, err = p.Stat(); err != nil {
		return o, fmt.Errorf("STAT: %w", err)
	}
	o.Stat = time.Since(begin)
	if all {
		if o.List, err = p.listing("LIST", o.Messages); err != nil {
			return o, err
		}
		if o.UIDL, err = p.listing("UIDL", o.Messages); err != nil {
			return o, err
		}
	}
	return o, p.Quit()
}

// listing times LIST or UIDL, which answers with a line for each message.
func (c *POP3Conn) listing(command string, messages int) (time.Duration, error) {
	begin := time.Now()
	if _, err := c.Cmd(command); err != nil {
		return 0, fmt.Errorf("%s: %w", command, err)
	}
	lines, err := c.Multi(nil)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", command, err)
	}
	took := time.Since(begin)
	if n := bytes.Count(lines, []byte("\n")); n != messages {
		return 0, fmt.Errorf("%s has %d lines, STAT said %d messages", command, n, messages)
	}
	return took, nil
}
