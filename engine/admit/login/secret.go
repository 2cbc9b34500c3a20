package login

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	files "postrider/engine/host/perms"
)

// SecretFile is the file of the server's secret, in the data directory.
const SecretFile = "scram-secret"

// secretOctets is the length of the server's secret.
const secretOctets = 32

// LoadSecret reads the secret that decoys of SCRAM are made with, or makes it at
// the first start. It has to stay the same over restarts: a salt that changes
// then belongs to no account.
func LoadSecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, SecretFile)
	text, err := os.ReadFile(path)
	if err == nil {
		secret, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil || len(secret) != secretOctets {
			return nil, fmt.Errorf("%s: %w: it is not base64 of %d octets", path, files.ErrDamaged, secretOctets)
		}
		return secret, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	secret := make([]byte, secretOctets)
	rand.Read(secret)
	f, err := os.CreateTemp(dir, "scram-secret-*") // 0600
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return secret, nil
}
