package storage

import "time"

// Metered is a Store with more figures for monitoring than the contract has.
// An engine may do without.
type Metered interface {
	// Metrics calls each for every figure, with names that do not change.
	Metrics(each func(Metric))
	// OnSync has f called, on a goroutine of the store, with the time that a group of changes
	// took from its write to its sync. f must not block. It is for the time before the first
	// delivery.
	OnSync(f func(time.Duration))
}

// Metric is one figure of a store.
type Metric struct {
	Name  string // in lower case with underscores: "store_compactions_total"
	Help  string
	Rises bool // it is a count that only rises; else a state
	Value float64
	// Label and Of tell figures of the same name apart: "level", "0". None: "".
	Label, Of string
}
