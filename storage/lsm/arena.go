package lsm

// arena holds records in blocks that never move, so that growing copies nothing.
// A reference is the record's place divided by 8, so that 32 bits reach 32 GB;
// 0 refers to nothing. A block in which most octets are wasted is emptied by itself, and
// filled again: what a change costs is bounded by a block and not by the whole.
type arena struct {
	blocks [][]byte
	ends   []int // where the records of each block end
	wasted []int // octets of each block in records that nothing refers to
	free   []int // empty blocks
	now    int   // the block that is being filled
	full   []int // blocks that were filled since their waste was looked at
}

// arenaBlock is the size of a block; a larger record is not stored (the limits
// on names, hashes and targets see to that).
const arenaBlock = 1 << 20

// roomFor is what a record of n octets takes in a block.
func roomFor(n int) int { return (n + 7) &^ 7 }

// take makes room for a record of n octets, zeroed.
func (a *arena) take(n int) (ref uint32, r []byte) {
	n = roomFor(n)
	if len(a.blocks) == 0 || a.ends[a.now]+n > arenaBlock {
		a.next()
	}
	at := a.ends[a.now]
	a.ends[a.now] += n
	return a.ref(a.now, at), a.blocks[a.now][at : at+n]
}

// next begins with an empty block.
func (a *arena) next() {
	if len(a.blocks) > 0 {
		a.full = append(a.full, a.now)
	}
	if n := len(a.free); n > 0 {
		a.now, a.free = a.free[n-1], a.free[:n-1]
		clear(a.blocks[a.now])
	} else {
		a.now = len(a.blocks)
		a.blocks = append(a.blocks, make([]byte, arenaBlock))
		a.ends, a.wasted = append(a.ends, 0), append(a.wasted, 0)
	}
	a.ends[a.now] = a.start(a.now)
}

// start is where the first record of a block is: no record has reference 0.
func (a *arena) start(block int) int {
	if block == 0 {
		return 8
	}
	return 0
}

// ref is the reference of what is in a block at some place.
func (a *arena) ref(block, at int) uint32 { return uint32((block*arenaBlock + at) / 8) }

// from returns the octets from a reference to the end of its block.
func (a *arena) from(ref uint32) []byte {
	at := int(ref) * 8
	return a.blocks[at/arenaBlock][at%arenaBlock:]
}

// waste notes that a record of n octets is not referred to any more.
func (a *arena) waste(ref uint32, n int) {
	block := int(ref) * 8 / arenaBlock
	a.wasted[block] += roomFor(n)
	if block != a.now {
		a.full = append(a.full, block)
	}
}

// wasteful returns a full block with more octets wasted than used; false: there is none.
func (a *arena) wasteful() (block int, ok bool) {
	for len(a.full) > 0 {
		block, a.full = a.full[len(a.full)-1], a.full[:len(a.full)-1]
		if block != a.now && 2*a.wasted[block] > a.ends[block] {
			return block, true
		}
	}
	return 0, false
}

// empty takes back a block: nothing refers to what is in it.
func (a *arena) empty(block int) {
	a.ends[block], a.wasted[block] = 0, 0
	a.free = append(a.free, block)
}
