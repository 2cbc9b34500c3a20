package server

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/engine/admit/login"
	"postrider/engine/config"
	"postrider/engine/edge/certs"
	"postrider/engine/host/maillog"
	files "postrider/engine/host/perms"
)

// A small file of ours that is damaged on the disk does not keep the server from starting:
// whatever its octets are now. What it was is kept beside it.
func TestSmallFilesThatAreDamagedAreMadeAnew(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Server.Data, cfg.TLS.SelfSigned = dir, true
	var lines bytes.Buffer
	log := maillog.Log{Logger: slog.New(slog.NewTextHandler(&lines, nil))}
	open := func(name string) {
		t.Helper()
		if name == login.SecretFile {
			secret, err := files.OpenOrRemake(filepath.Join(dir, name), "x", log.Logger, func() ([]byte, error) { return login.LoadSecret(dir) })
			if err != nil || len(secret) == 0 {
				t.Fatal(err)
			}
			return
		}
		edge, err := newTLS(cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		edge.Close()
	}
	for _, name := range []string{login.SecretFile, certs.TicketFile, certs.SelfSignedFile} {
		open(name)
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		damaged := [][]byte{nil, good[:len(good)/2], []byte("\x00\xff\n")}
		for i := 0; i < len(good); i += max(1, len(good)/40) {
			b := append([]byte(nil), good...)
			b[i] ^= 0x80
			damaged = append(damaged, b)
		}
		for i, b := range damaged {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			open(name)
			if i == 2 {
				kept, err := os.ReadFile(path + ".damaged")
				if err != nil || string(kept) != string(b) {
					t.Errorf("%s: what was damaged is not kept: %v", name, err)
				}
				if !strings.Contains(lines.String(), "file="+path) {
					t.Errorf("%s: the log does not name the file", name)
				}
			}
			_ = os.Remove(path)
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			open(name)
		}
	}
}
