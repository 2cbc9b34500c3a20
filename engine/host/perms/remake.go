package perms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// OpenOrRemake opens a small file that this server has written. If what is in it is damaged, the
// file is renamed, and open is called again, which makes another: none of these files
// is worth a server that does not start. what says what is lost by it.
func OpenOrRemake[T any](path, what string, log *slog.Logger, open func() (T, error)) (T, error) {
	v, err := open()
	if !errors.Is(err, ErrDamaged) {
		return v, err
	}
	aside := path + ".damaged"
	if renaming := os.Rename(path, aside); renaming != nil {
		return v, fmt.Errorf("%w; remove %s, and the next start makes another (it can't be renamed: %w)", err, path, renaming)
	}
	log.LogAttrs(context.Background(), slog.LevelError, "a file was damaged on the disk and is made again: "+what+"; look at the disk",
		slog.String("file", path), slog.String("renamed", aside), slog.Any("err", err))
	return open()
}
