package dns

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// hostsFile is /etc/hosts. It is read again after hostsAge, so that a change counts without
// a restart. It is safe for use by many goroutines.
type hostsFile struct {
	path string

	mu    sync.Mutex
	names map[string][]netip.Addr // under mu
	until time.Time               // under mu
}

const hostsAge = 5 * time.Second

// lookup returns a name's addresses, in the order of the file. "localhost" needs no file
// (RFC 6761 section 6.3).
func (h *hostsFile) lookup(name string, now time.Time) []netip.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !now.Before(h.until) {
		h.names, h.until = h.load(), now.Add(hostsAge)
	}
	name = strings.TrimSuffix(name, ".")
	if addrs := h.names[name]; addrs != nil {
		return addrs
	}
	if name == "localhost" {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	}
	return nil
}

// load reads the file. A file that can't be read counts as empty.
func (h *hostsFile) load() map[string][]netip.Addr {
	f, err := os.Open(h.path)
	if err != nil {
		return nil
	}
	defer f.Close()
	return readHosts(f)
}

// readHosts reads lines "ADDRESS NAME ..."; "#" starts a comment. It ignores other lines, as
// the C library does.
func readHosts(from io.Reader) map[string][]netip.Addr {
	names := make(map[string][]netip.Addr)
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			if q, ok := FQDN(name); ok {
				name = strings.TrimSuffix(q, ".")
				names[name] = append(names[name], addr)
			}
		}
	}
	return names
}
