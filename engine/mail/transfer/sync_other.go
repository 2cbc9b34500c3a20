//go:build !linux

package transfer

import (
	"io/fs"
	"path/filepath"
)

// syncTree makes the files under the folder durable, one by one.
func syncTree(folder string) error {
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncPath(path)
	})
}
