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

// Find looks up a user by name or number.
func Find(name string) (User, error) {
	u, err := user.Lookup(name)
	if _, numeric := strconv.Atoi(name); numeric == nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return User{}, fmt.Errorf("%w: add the user, for example with the sysusers file of \"postrider install --print\"", err)
	}
	w := User{Name: u.Username}
	ids, err := u.GroupIds()
	if err != nil {
		return w, err
	}
	for _, id := range append([]string{u.Uid, u.Gid}, ids...) {
		n, err := strconv.Atoi(id)
		if err != nil {
			return w, fmt.Errorf("user %s has the id %q, which is not a number", name, id)
		}
		w.Groups = append(w.Groups, n)
	}
	w.UID, w.GID, w.Groups = w.Groups[0], w.Groups[1], w.Groups[2:]
	return w, nil
}

// Become makes all threads of the process run as u, for good.
func Become(u User) error {
	if os.Geteuid() == u.UID && os.Getuid() == u.UID {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can become %s: start the server as root or as %s", u.Name, u.Name)
	}
	// The user comes last: setgroups and setgid need root. Go makes each of these calls on
	// every thread.
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
	// After a change of user the kernel makes /proc/self root's, unless it is dumpable.
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
}

// gone checks that the process has no id of root, and can't get one.
func gone(u User) error {
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	for _, id := range []int{ruid - u.UID, euid - u.UID, suid - u.UID, rgid - u.GID, egid - u.GID, sgid - u.GID} {
		if id != 0 {
			return errors.New("the process still has an id of root")
		}
	}
	if u.UID != 0 && syscall.Setuid(0) == nil {
		return errors.New("the process can become root again")
	}
	return nil
}
