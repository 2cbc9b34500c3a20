package budget

// Memory is limits.memory in four ledgers. They are apart so that no holder of
// a part waits for more of the same: a session whose message turns out
// large waits for the bulk ledger with its small window in hand, and sessions that
// hold bulk wait for nothing but the disk and their peer. With one ledger for all,
// enough small windows would wait for each other for ever.
//
// Pages of the web client and answers of the capture API take from bulk as well, at most
// two thirds of it, and never wait in its queue: a page that finds no room is refused.
type Memory struct {
	Begin    *Ledger // a quarter: a small window for each message that begins
	Bulk     *Ledger // three eighths: large windows, and buffers of POP3 sessions that read
	Listings *Ledger // a quarter: listings of open maildrops
	Held     *Ledger // an eighth: recipients of open transactions, and checks of strangers' messages
	Pages    *Pages  // a share of Bulk
}

// Least is the smallest limits.memory: no session waits for more than a ledger of it has.
const Least = 1 << 20

// New divides octets, at least Least.
func New(octets int64) Memory {
	bulk := NewLedger(0)
	m := Memory{Begin: NewLedger(0), Bulk: bulk, Listings: NewLedger(0), Held: NewLedger(0), Pages: &Pages{bulk: bulk}}
	m.Resize(octets)
	return m
}

// Resize divides other octets: see Ledger.SetMax.
func (m Memory) Resize(octets int64) {
	octets = max(octets, Least)
	m.Begin.SetMax(octets / 4)
	m.Bulk.SetMax(octets / 8 * 3)
	m.Listings.SetMax(octets / 4)
	m.Held.SetMax(octets / 8)
}

// Used is how many octets are booked.
func (m Memory) Used() int64 {
	return m.Begin.Used() + m.Bulk.Used() + m.Listings.Used() + m.Held.Used()
}

// Tight reports whether a message that begins now would have to wait soon.
func (m Memory) Tight() bool { return m.Begin.Used() > m.Begin.Max()/10*9 }

// OfStrangers is what strangers may hold: the last quarter of Held is for the mail of our
// own people.
func (m Memory) OfStrangers() Share { return Share{m.Held, 3} }

// OfAll is what our own people may hold: all of Held.
func (m Memory) OfAll() Share { return Share{m.Held, 4} }
