// Package disk makes files and directories that a power cut does not take away.
//
// A file that is synced can still be lost with its name: the name is in the directory, and
// so is a new directory in its parent. Each function here returns when the file and all
// directories that lead to it, as far as they are new, are on the disk.
//
// It is for what a promise rests on: keys, passwords, mail that may then be deleted
// elsewhere. Files of the store are made by package storage/lsm.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// SyncDir makes what was made, renamed and removed in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MkdirAll is os.MkdirAll for directories that are durable.
func MkdirAll(dir string, mode fs.FileMode) error {
	var parents []string // the parents of directories that are missing
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		_, err := os.Stat(at)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		parents = append(parents, filepath.Dir(at))
		if filepath.Dir(at) == at {
			break
		}
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := SyncDir(parent); err != nil {
			return err
		}
	}
	return nil
}

// Rename renames a file or a directory, whose content is synced.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if old := filepath.Dir(from); old != filepath.Dir(to) {
		if err := SyncDir(old); err != nil {
			return err
		}
	}
	return SyncDir(filepath.Dir(to))
}

// Replace renames a file or a directory, whose content is synced, in place of what is there,
// which is removed. Both names are in one directory. When the rename fails, what was there has
// its name again. When the directory can't be synced, the new one has the name, and what a
// directory replaced is not removed: the error says where it is.
func Replace(from, to string) error { return replace(from, to, SyncDir) }

func replace(from, to string, sync func(dir string) error) error {
	aside, err := moveAside(from, to)
	if err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		if aside != "" {
			err = errors.Join(err, os.Rename(aside, to))
		}
		return err
	}
	err = sync(filepath.Dir(to))
	switch {
	case aside == "":
		return err
	case err != nil:
		return fmt.Errorf("%s is new, but may be lost in a power cut; the one that it replaced is %s: %w", to, aside, err)
	}
	return os.RemoveAll(aside)
}

// moveAside makes room for a directory, which can't be renamed over another one. aside "":
// nothing was in its place, or a file may be renamed over it.
func moveAside(from, to string) (aside string, err error) {
	info, err := os.Lstat(from)
	if err != nil || !info.IsDir() {
		return "", err
	}
	if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	aside = from + ".old"
	return aside, os.Rename(to, aside)
}

// WriteFile makes or replaces a file that only its owner may read, as a whole or not at all.
func WriteFile(file string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".new*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(filepath.Dir(file))
}
