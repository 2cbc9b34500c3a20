package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"postrider/engine/host/disk"
	"postrider/engine/host/perms"
)

const (
	// ticketLife is how long a key encrypts new tickets. An attacker that steals a key can
	// read the sessions that were resumed with it.
	ticketLife = 24 * time.Hour
	// ticketKeys is how many keys are kept. A client may use a ticket for a week (RFC 8446
	// section 4.6.1).
	ticketKeys = 7
)

// ticketKey is a key and the time when it was made.
type ticketKey struct {
	made time.Time
	key  [32]byte
}

// TicketKeys are the keys for session tickets, newest first. They are in a file, so that
// clients can resume sessions after a restart. A line in the file is a time and a key in
// hexadecimal. TicketKeys belongs to one goroutine.
type TicketKeys struct {
	file string
	keys []ticketKey
}

// OpenTicketKeys reads the file. The first Rotate makes a missing file.
func OpenTicketKeys(file string) (*TicketKeys, error) {
	t := &TicketKeys{file: file}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		made, secret, _ := strings.Cut(strings.TrimSpace(line), " ")
		at, err := time.Parse(time.RFC3339, made)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %q is not a time: %w", file, perms.ErrDamaged, made, err)
		}
		k := ticketKey{made: at}
		if n, err := hex.Decode(k.key[:], []byte(secret)[:min(len(secret), 2*len(k.key))]); err != nil || n != len(k.key) || len(secret) != 2*n {
			return nil, fmt.Errorf("%s: %w: the key made at %s is not 64 hexadecimal digits", file, perms.ErrDamaged, made)
		}
		t.keys = append(t.keys, k)
	}
	return t, nil
}

// Rotate makes a new key if the newest one is a day old, and sets the keys in the
// configurations, which may be in use.
func (t *TicketKeys) Rotate(now time.Time, configs ...*tls.Config) error {
	if len(t.keys) == 0 || now.Sub(t.keys[0].made) >= ticketLife || t.keys[0].made.After(now.Add(ticketLife)) {
		k := ticketKey{made: now.UTC()}
		_, _ = rand.Read(k.key[:]) // never fails
		t.keys = append([]ticketKey{k}, t.keys[:min(len(t.keys), ticketKeys-1)]...)
		if err := t.write(); err != nil {
			return fmt.Errorf("session ticket keys: %w", err)
		}
	}
	keys := make([][32]byte, len(t.keys))
	for i, k := range t.keys {
		keys[i] = k.key
	}
	for _, cfg := range configs {
		cfg.SetSessionTicketKeys(keys)
	}
	return nil
}

func (t *TicketKeys) write() error {
	var b bytes.Buffer
	for _, k := range t.keys {
		fmt.Fprintf(&b, "%s %x\n", k.made.Format(time.RFC3339), k.key)
	}
	return disk.WriteFile(t.file, b.Bytes())
}
