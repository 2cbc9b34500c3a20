package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	files "postrider/engine/guard"
)

// orAnew opens a small file that this server has written. If what is in it is damaged, the
// file is renamed, and open is called again, which makes another: none of these files
// is worth a server that does not start. what says what is lost by it.
func orAnew[T any](path, what string, log mailLog, open func() (T, error)) (T, error) {
	v, err := open()
	if !errors.Is(err, files.ErrDamaged) {
		return v, err
	}
	aside := path + ".damaged"
	if renaming := os.Rename(path, aside); renaming != nil {
		return v, fmt.Errorf("%w; remove %s, and the next start makes another (it can't be renamed: %w)", err, path, renaming)
	}
	log.LogAttrs(noContext, slog.LevelError, "a file was damaged on the disk and is made anew: "+what+"; look at the disk",
		slog.String("file", path), slog.String("renamed", aside), slog.Any("err", err))
	return open()
}
