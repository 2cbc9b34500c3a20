package login

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	files "postrider/engine/host/perms"
)

func TestTheSecretIsPrivateAndABrokenOneIsSaid(t *testing.T) {
	dir := t.TempDir()
	one, err := LoadSecret(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, SecretFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	again, err := LoadSecret(dir)
	if err != nil || !bytes.Equal(one, again) {
		t.Errorf("%x became %x (%v)", one, again, err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSecret(dir); !errors.Is(err, files.ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken secret: %v", err)
	}
	if _, err := LoadSecret(filepath.Join(dir, "not there")); err == nil {
		t.Error("no folder, no error")
	}
}
