package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrDamaged is wrapped by the error of a file that this server wrote, and in which
// something else stands now.
var ErrDamaged = errors.New("the file is damaged")

// Directory checks that nobody but its owner gets into a directory. One that is not
// there is no fault: it will be made.
func Directory(path string) error { return check(path, 0o077, "700", "the directory") }

// Secret checks that nobody but its owner can read or write a file.
func Secret(path string) error { return check(path, 0o077, "600", "the file") }

// SharedSecret checks that nobody but its owner can write a file, nor read it but
// its group.
func SharedSecret(path string) error { return check(path, 0o037, "640", "the file") }

// check refuses path when one of the bits is set, or when it is somebody else's.
func check(path string, bits fs.FileMode, want, what string) error {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&bits != 0 {
		return fmt.Errorf("%s %s has mode %04o, so that others may use what is in it: chmod %s %s", what, path, mode, want, path)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if me := uint32(os.Geteuid()); ok && !mine(owner.Uid, me) {
		return fmt.Errorf("%s %s belongs to user %d, who may change it, and the server is user %d: chown %d %s", what, path, owner.Uid, me, me, path)
	}
	return nil
}

// mine says whether a file of owner can be relied on by me. Root may use what belongs
// to the server's user: its commands do.
func mine(owner, me uint32) bool { return owner == me || owner == 0 || me == 0 }
