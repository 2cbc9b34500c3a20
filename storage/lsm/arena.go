package lsm

// arena holds records in blocks that never move, so that growing copies nothing.
// A reference is the record's place divided by 8, so that 32 bits reach 32 GB;
// 0 refers to nothing.
type arena struct {
	blocks [][]byte
	used   int // in the last block
	wasted int // octets of records that nothing refers to
}

// arenaBlock is the size of a block; a larger record is not stored (the limits
// on names, hashes and targets see to that).
const arenaBlock = 1 << 20

// take makes room for a record of n octets, zeroed.
func (a *arena) take(n int) (ref uint32, r []byte) {
	n = (n + 7) &^ 7
	if len(a.blocks) == 0 || a.used+n > arenaBlock {
		a.blocks = append(a.blocks, make([]byte, arenaBlock))
		a.used = 0
		if len(a.blocks) == 1 {
			a.used = 8 // no record has reference 0
		}
	}
	at := (len(a.blocks)-1)*arenaBlock + a.used
	r = a.blocks[len(a.blocks)-1][a.used : a.used+n]
	a.used += n
	return uint32(at / 8), r
}

// from returns the octets from a reference to the end of its block.
func (a *arena) from(ref uint32) []byte {
	at := int(ref) * 8
	return a.blocks[at/arenaBlock][at%arenaBlock:]
}

// waste notes that a record of n octets is not referred to any more.
func (a *arena) waste(n int) { a.wasted += n }

// wasteful reports whether copying the living records would halve the arena.
func (a *arena) wasteful() bool {
	return a.wasted > arenaBlock && a.wasted > len(a.blocks)*arenaBlock/2
}
