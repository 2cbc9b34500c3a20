package workspace

import (
	"syscall"
)

// Umask is what new files of this process do not get.
func Umask() uint32 {
	m := syscall.Umask(0)
	syscall.Umask(m)
	return uint32(m)
}

// MaxNames bounds the numbers that a name is tried with.
const MaxNames = 100_000
