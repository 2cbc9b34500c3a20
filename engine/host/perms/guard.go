package perms

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrDamaged is wrapped by the error for a file that this server wrote and that has
// other content now.
var ErrDamaged = errors.New("the file is damaged")

// Directory checks that only its owner has access to a directory. A directory that
// does not exist is no fault: it will be made.
func Directory(path string) error { return check(path, 0o077, "700", "the directory") }

// Secret checks that only its owner can read or write a file.
func Secret(path string) error { return check(path, 0o077, "600", "the file") }

// SharedSecret checks that only its owner can write a file, and that only its owner
// and its group can read it.
func SharedSecret(path string) error { return check(path, 0o037, "640", "the file") }

// check refuses path when one of the bits is set, or when another user owns it.
func check(path string, bits fs.FileMode, want, what string) error {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&bits != 0 {
		return fmt.Errorf("%s %s has mode %04o, which gives other users access: chmod %s %s", what, path, mode, want, path)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if me := uint32(os.Geteuid()); ok && !mine(owner.Uid, me) {
		return fmt.Errorf("%s %s belongs to user %d, who may change it, and the server is user %d: chown %d %s", what, path, owner.Uid, me, me, path)
	}
	return nil
}

// mine reports whether a file of owner can be relied on by me. Root may use what belongs
// to the server's user: its commands do.
func mine(owner, me uint32) bool { return owner == me || owner == 0 || me == 0 }
