package smtpd

import (
	"unsafe"

	"postrider/codec/dot"
	"postrider/codec/message"
	"postrider/codec/smtp"
)

// Addresses are kept in blocks that are never copied: an address borrows from its block,
// so a block that grew would live on beside the copy. They double from the first on.
const (
	firstBlock = 1 << 10
	lastBlock  = 8 << 10
)

// keptRecipients is the number of recipients whose memory a session keeps between
// transactions. The memory for more is released, and so are blocks after the first.
const keptRecipients = 128

// Transaction is a mail transaction: from MAIL to the answer about the message.
// A session has memory for one, made at its first MAIL. Everything in it is
// valid until the transaction ends.
type Transaction struct {
	Mail       smtp.MailArgs   // reverse-path and parameters
	Recipients []smtp.RcptArgs // accepted, in order; ORcpt is there until the recipient is answered
	Head       message.Head    // what was read of the header so far

	scan    dot.Stuffer // finds the end of DATA; counts
	binary  dot.Binary  // does the same for a body of BINARYMIME
	refused *smtp.Reply // the message will be refused with this at its end
	owed    owed
	drafted bool   // Body octets were handed out
	dotted  bool   // the line so far is a dot after a bare LF
	lfDot   bool   // a line was a dot and ended with LF alone
	heldCR  bool   // a chunk ended with CR, the next may begin with LF
	mem     []byte // the block of paths and parameters that is being filled
	blocks  int    // octets of all blocks
	mark    int    // length of mem before the recipient that is asked about
}

// owed is what a scan found after a run that had to be handed out first. Its
// octets stay unread until then, so that the caller comes back with them.
type owed struct {
	open    bool
	verdict dot.Verdict
	skip    int
	tail    bool // the last octet of the message, and a CRLF that it lacks
}

// Counts returns the counts of the message's octets so far.
func (t *Transaction) Counts() dot.Counts { return t.scan.Counts }

// Body is the body type of the message: what MAIL named, but 7BIT or 8BITMIME for a
// message that came as BINARYMIME and consists of lines of text, as nearly all do.
// It is known when the message is whole. The Body runs of a message for which
// it is BodyBinaryMIME are not wire form but what [dot.Binary] makes: the caller has to
// turn that into lines before it stores or sends it.
func (t *Transaction) Body() smtp.Body {
	switch {
	case t.Mail.Body != smtp.BodyBinaryMIME:
		return t.Mail.Body
	case !t.binary.IsText():
		return smtp.BodyBinaryMIME
	case t.binary.EightBit:
		return smtp.Body8BitMIME
	}
	return smtp.Body7Bit
}

// begin starts a transaction with the arguments of MAIL.
func (t *Transaction) begin(m smtp.MailArgs) {
	t.mem = t.mem[:0]
	t.room(len(m.From.Local()) + len(m.From.Domain()) + len(m.EnvID))
	m.From, t.mem = m.From.Keep(t.mem)
	m.EnvID = t.keep(m.EnvID)
	t.Mail = m
}

// propose adds a recipient that is asked about.
func (t *Transaction) propose(r smtp.RcptArgs) {
	t.room(len(r.To.Local()) + len(r.To.Domain()) + len(r.ORcpt))
	t.mark = len(t.mem)
	r.To, t.mem = r.To.Keep(t.mem)
	r.ORcpt = t.keep(r.ORcpt)
	t.Recipients = append(t.Recipients, r)
}

// withdraw takes the proposed recipient back.
func (t *Transaction) withdraw() {
	t.Recipients = t.Recipients[:len(t.Recipients)-1]
	t.mem = t.mem[:t.mark]
}

// accept keeps the proposed recipient, without its ORCPT: the caller has that now, if it
// needs it.
func (t *Transaction) accept() {
	r := &t.Recipients[len(t.Recipients)-1]
	t.mem = t.mem[:len(t.mem)-len(r.ORcpt)] // it was put there last
	r.ORcpt = nil
}

// room makes sure that n octets fit in the block at hand.
func (t *Transaction) room(n int) {
	if cap(t.mem)-len(t.mem) >= n {
		return
	}
	size := max(n, min(max(firstBlock, 2*cap(t.mem)), lastBlock))
	t.mem = make([]byte, 0, size)
	t.blocks += size
}

// Octets is how much memory the recipients take: what a caller books.
func (t *Transaction) Octets() int {
	return t.blocks + cap(t.Recipients)*int(unsafe.Sizeof(smtp.RcptArgs{}))
}

func (t *Transaction) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	from := len(t.mem)
	t.mem = append(t.mem, b...)
	return t.mem[from:len(t.mem):len(t.mem)]
}

// reset forgets all and keeps memory in reasonable measure.
func (t *Transaction) reset() {
	recipients := t.Recipients[:0]
	if cap(recipients) > keptRecipients {
		recipients = nil
	}
	clear(recipients[:cap(recipients)])
	t.Mail = smtp.MailArgs{}
	t.Recipients, t.mem, t.mark = recipients, t.mem[:0], 0
	t.blocks = cap(t.mem) // the blocks before have no borrowers any more
	t.Head.Reset()
	t.scan.Reset()
	t.binary = dot.Binary{}
	t.refused, t.owed = nil, owed{}
	t.drafted, t.heldCR, t.dotted, t.lfDot = false, false, false, false
}

// refuse refuses the message: its octets are read and dropped from now on, and r
// is sent at its end. The first reason counts.
func (t *Transaction) refuse(r *smtp.Reply, e *Effects) {
	if t.refused == nil {
		t.refused = r
		t.drop(e)
	}
}

// drop voids the draft if there is one.
func (t *Transaction) drop(e *Effects) {
	if t.drafted {
		t.drafted, e.Drop = false, true
	}
}
