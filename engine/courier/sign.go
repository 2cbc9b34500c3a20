package courier

import (
	"postrider/codec/dot"
	"postrider/codec/message"
)

// sign returns the DKIM-Signature of a notification, in plain form; nothing when its
// domain has no key, or when it can't be signed: the notification matters more.
func (c *Courier) sign(text []byte) string {
	from, ok := message.Find(text, "From")
	if c.Keys == nil || !ok {
		return ""
	}
	keys := c.Keys.Author(message.Address(from.Unfolded()))
	if keys == nil {
		return ""
	}
	s := c.Keys.Begin(keys)
	s.Append(dot.AppendStuffed(nil, text))
	fields, err := s.Finish()
	if err != nil {
		c.log.Warn("a notification goes out without a DKIM signature", "err", err)
	}
	return fields
}
