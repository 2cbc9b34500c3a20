package agent

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpclient"
)

// Passwords are the logins for next hops. It never changes.
type Passwords struct {
	of map[router.Hop]*smtpclient.Credentials
}

// ReadPasswords reads the file of relay.passwords. A line is "NEXTHOP USER:PASSWORD", or a
// comment that begins with "#". The path "" means that there is no file. Only the owner may
// have permission to read the file.
func ReadPasswords(path string) (*Passwords, error) {
	p := &Passwords{of: make(map[router.Hop]*smtpclient.Credentials)}
	if path == "" {
		return p, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("relay.passwords: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("relay.passwords: other users can read %s: run chmod 600 %s", path, path)
	}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		hop, login, _ := strings.Cut(text, " ")
		user, password, ok := strings.Cut(strings.TrimSpace(login), ":")
		h, err := router.ParseHop(hop)
		if err != nil || !ok || user == "" {
			return nil, fmt.Errorf("relay.passwords: %s:%d: expected NEXTHOP USER:PASSWORD, for example \"[smtp.example.org]:587 me@example.org:secret\"", path, n)
		}
		p.of[h] = &smtpclient.Credentials{User: user, Password: password}
	}
	return p, lines.Err()
}

// For returns a next hop's login, or nil.
func (p *Passwords) For(hop router.Hop) *smtpclient.Credentials { return p.of[hop] }
