package incoming

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"time"

	"postrider/codec/address"
	"postrider/codec/dot"
	"postrider/storage"
)

// Composed is the envelope of a message that Compose has written.
type Composed struct {
	Sender     string // the reverse-path without brackets; "": the null path
	Recipients []string
	Size       int64
	EightBit   bool // the text has octets over 127
	UTF8       bool // an envelope address is beyond ASCII
}

// Compose writes m to out with a complete header, in plain form with CRLF, to be sent by
// SMTP when the store can't be reached. Names without a domain get domain. Compose fails if
// it can't read an address.
func Compose(out io.Writer, m Mail, hostname, domain string) (c Composed, err error) {
	in := bufio.NewReaderSize(m.Text, 64<<10)
	header, err := readHeader(in, (&Entrance{}).reserve)
	if err != nil {
		return c, err
	}
	if err := c.address(&m, header, domain); err != nil {
		return c, err
	}
	if m.At.IsZero() {
		m.At = time.Now()
	}
	complete := (&Entrance{DefaultDomain: domain}).completion(strconv.FormatInt(m.At.UnixNano(), 10), hostname, m.At,
		fromField(m.fromName(c.Sender), fromAddress(c.Sender, hostname)))
	header = append(complete.Append(nil, header), "\r\n"...)
	var form dot.Normalizer
	var plain dot.Unstuffer
	write := func(wire []byte) error {
		text := plain.Append(nil, wire)
		c.Size += int64(len(text))
		_, err := out.Write(text)
		return err
	}
	if err := write(form.Append(nil, header)); err != nil {
		return c, err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		wire := form.Append(nil, buf[:n])
		if err == io.EOF {
			wire = form.End(wire)
		}
		if failed := write(wire); failed != nil {
			return c, failed
		}
		if err == io.EOF {
			c.EightBit = form.Counts().EightBit
			return c, nil
		}
		if err != nil {
			return c, err
		}
	}
}

// address fills in m's sender and recipients.
func (c *Composed) address(m *Mail, header []byte, domain string) error {
	reverse, err := reversePath(m.Sender, domain)
	if err != nil {
		return err
	}
	c.Sender, c.UTF8 = reverse.String(), reverse.NeedsUTF8()
	var e envelope
	addresses := e.addresses(m, header)
	if len(addresses)+len(e.bad) == 0 {
		return ErrNoRecipients
	}
	if len(e.bad) > 0 {
		return fmt.Errorf("%w: %q is not a recipient address; nothing was sent", storage.ErrInvalid, shorten(e.bad[0]))
	}
	seen := make(map[string]bool)
	for _, a := range addresses {
		path, err := ParseRecipient(a, domain)
		if err != nil {
			return err
		}
		if key := address.Key(path.String()); !seen[key] {
			seen[key] = true
			c.Recipients = append(c.Recipients, path.String())
			c.UTF8 = c.UTF8 || path.NeedsUTF8()
		}
	}
	return nil
}
