package login

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"postrider/engine/host/disk"
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
	return secret, disk.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(secret)))
}
