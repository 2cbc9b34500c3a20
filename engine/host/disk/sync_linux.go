package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// SyncTree makes the files under the folder durable. One syncfs for all of them:
// a sync for each of 2,000 files took 5 to 11 s where the export took 0.2 s. The
// kernel reports write errors through it since Linux 5.8.
func SyncTree(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
