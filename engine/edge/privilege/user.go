package privilege

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// User is the user that a process runs as.
type User struct {
	Name     string
	UID, GID int
	Groups   []int
}

// Root is the name of who may all; to name it is to want that.
const Root = "root"

// Find finds a user by name or number.
func Find(name string) (User, error) {
	u, err := user.Lookup(name)
	if _, numeric := strconv.Atoi(name); numeric == nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return User{}, fmt.Errorf("%w: make it, for example with what \"postrider install --print\" shows", err)
	}
	w := User{Name: u.Username}
	ids, err := u.GroupIds()
	if err != nil {
		return w, err
	}
	for _, id := range append([]string{u.Uid, u.Gid}, ids...) {
		n, err := strconv.Atoi(id)
		if err != nil {
			return w, fmt.Errorf("user %s has the id %q, which is no number", name, id)
		}
		w.Groups = append(w.Groups, n)
	}
	w.UID, w.GID, w.Groups = w.Groups[0], w.Groups[1], w.Groups[2:]
	return w, nil
}

// Become makes the process run as u, with all of its threads and for good.
func Become(u User) error {
	if os.Geteuid() == u.UID && os.Getuid() == u.UID {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can become %s: start the server as root or as %s", u.Name, u.Name)
	}
	// In this order: without root nothing of the rest could be done. Go runs each of
	// these on every thread.
	err := os.NewSyscallError("setgroups", syscall.Setgroups(u.Groups))
	if err == nil {
		err = os.NewSyscallError("setgid", syscall.Setgid(u.GID))
	}
	if err == nil {
		err = os.NewSyscallError("setuid", syscall.Setuid(u.UID))
	}
	if err == nil {
		err = gone(u)
	}
	if err != nil {
		return fmt.Errorf("can't become %s: %w", u.Name, err)
	}
	// The kernel takes /proc/self away from a process that has changed its user.
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
}

// gone checks that nothing of root is left.
func gone(u User) error {
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	for _, id := range []int{ruid - u.UID, euid - u.UID, suid - u.UID, rgid - u.GID, egid - u.GID, sgid - u.GID} {
		if id != 0 {
			return errors.New("an id of root is left")
		}
	}
	if u.UID != 0 && syscall.Setuid(0) == nil {
		return errors.New("the way back to root is open")
	}
	return nil
}
