package main

import (
	"syscall"
)

// umask is what new files of this process do not get.
func umask() uint32 {
	m := syscall.Umask(0)
	syscall.Umask(m)
	return uint32(m)
}

// mostNames bounds the numbers that a name is tried with.
const mostNames = 100_000
