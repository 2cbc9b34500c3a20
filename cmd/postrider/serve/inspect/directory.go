package inspect

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"postrider/engine/host/perms"
	"postrider/storage/lsm"
)

// dataDirectory looks at server.data and what is in it.
func (r *report) dataDirectory() {
	const key = "server.data"
	dir := r.Server.Data
	if line := r.Key(key).Line(); line > 0 && !filepath.IsAbs(dir) {
		r.warn(key, "%s is relative: commands that are run in another directory look for it there; write the whole path", dir)
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.parent(key, dir)
		return
	case err != nil:
		r.fault(key, "%s can't be looked at: %v", dir, err)
		return
	case !info.IsDir():
		r.fault(key, "%s is a file: name a directory", dir)
		return
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if ok && r.world.UID != 0 && unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK) != nil {
		r.warn(key, "%s belongs to user %d, and user %d, which runs this command, can't look into it: run the check as root or as the server's user", dir, owner.Uid, r.world.UID)
		return
	}
	if err := perms.Directory(dir); err != nil {
		r.fault(key, "%v", err)
	}
	if ok && r.user != nil && int(owner.Uid) != r.user.UID {
		r.fault(key, "%s belongs to user %d, and the server runs as %s: chown -R %[3]s %[1]s", dir, owner.Uid, r.user.Name)
	}
	if exists, err := lsm.Exists(dir); err == nil && !exists {
		names, err := os.ReadDir(dir)
		if err == nil && len(names) > 0 && names[0].Name() != "dkim" { // "dkim key" makes that
			r.warn(key, "%s has no store, but other files, such as %s: is it the right directory? The first start makes a store among them", dir, names[0].Name())
		}
	}
	r.space(key, dir)
}

// parent looks at where the first start will make the data directory.
func (r *report) parent(key, dir string) {
	above := filepath.Dir(filepath.Clean(dir))
	info, err := os.Stat(above)
	switch {
	case err != nil:
		r.fault(key, "%s does not exist, and neither does %s: make it (install -d -m 700 %[1]s)", dir, above)
	case !info.IsDir():
		r.fault(key, "%s can't be made: %s is a file", dir, above)
	case unix.Access(above, unix.W_OK) != nil:
		r.fault(key, "%s can't be made: %s can't be written to by this user: make it as root and give it to the server's user", dir, above)
	default:
		r.space(key, above)
	}
}

// folders looks at where the server makes files of its own besides the data directory.
func (r *report) folders() {
	for _, named := range [...][2]string{{"log.to", r.Log.To}, {"server.mail_socket", r.Server.MailSocket}} {
		key, path := named[0], named[1]
		if !filepath.IsAbs(path) {
			continue
		}
		dir := filepath.Dir(path)
		info, err := os.Stat(dir)
		switch {
		case err != nil || !info.IsDir():
			r.fault(key, "the directory %s does not exist: make it and give it to the server's user, or correct the path", dir)
		case r.user != nil && r.user.UID != 0 && !permits(*r.user, info, 3):
			r.fault(key, "%s can't be made by %s, the user of server.user, because of the mode of %s: chown or chmod it", path, r.user.Name, dir)
		}
	}
}

// space looks at the disk.
func (r *report) space(key, dir string) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return
	}
	if st.Type == unix.TMPFS_MAGIC {
		r.warn(key, "%s is in memory (tmpfs): all mail is gone when the machine stops; name a directory on a disk", dir)
	}
	if st.Flags&unix.ST_RDONLY != 0 {
		r.fault(key, "the file system of %s is read-only: mount it for writing, or name another directory", dir)
	}
	free := int64(st.Bavail) * st.Bsize //nolint:gosec // a disk is smaller than 2^63
	if floor := r.Storage.FreeFloor; floor > 0 && free < floor {
		r.fault("storage.free_floor", "%d MiB are free on the disk of %s, less than storage.free_floor: mail would be refused with 452; free some space, or lower the key", free>>20, dir)
	}
}
