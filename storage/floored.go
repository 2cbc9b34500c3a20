package storage

// Floored is a Store on a disk, which takes no mail while less than a floor of it is free. An
// engine may do without.
type Floored interface {
	// SetFreeFloor replaces the floor; 0: as large as the engine finds right. It counts at
	// once.
	SetFreeFloor(octets int64)
}
