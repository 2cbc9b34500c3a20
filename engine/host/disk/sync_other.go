//go:build !linux

package disk

import (
	"io/fs"
	"path/filepath"
)

// SyncTree makes the files under the folder durable, one by one.
func SyncTree(folder string) error {
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return SyncDir(path)
	})
}
