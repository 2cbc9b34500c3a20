package budget

import "sync/atomic"

// Share is what some may have of a ledger.
type Share struct {
	*Ledger
	quarters int64
}

// Max is how many octets may be booked in the ledger when more is reserved.
func (s Share) Max() int64 { return s.Ledger.Max() / 4 * s.quarters }

// Reserve takes n octets, or says that there is no room for them. It never waits.
func (s Share) Reserve(n int64) bool { return s.Used()+n <= s.Max() && s.Ledger.Reserve(n) }

// Tight reports whether there is little left.
func (s Share) Tight() bool { return s.Used() > s.Max()/10*9 }

// Pages is the part of a ledger that pages may take. It implements web.Budget.
type Pages struct {
	bulk *Ledger
	used atomic.Int64
}

// max is a quarter of limits.memory, two thirds of the ledger.
func (p *Pages) max() int64 { return p.bulk.Max() / 3 * 2 }

// Reserve takes octets, or says that there is no room for them.
func (p *Pages) Reserve(octets int64) bool {
	if p.used.Add(octets) <= p.max() && p.bulk.Reserve(octets) {
		return true
	}
	p.used.Add(-octets)
	return false
}

// Release gives octets back.
func (p *Pages) Release(octets int64) {
	p.used.Add(-octets)
	p.bulk.Release(octets)
}
