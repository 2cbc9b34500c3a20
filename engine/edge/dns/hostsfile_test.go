package dns

import (
	"bytes"
	"strings"
	"testing"
)

// readHosts returns names in the form of FQDN, and a further line never removes an address
// from the lines before it, whatever the file has.
func FuzzReadHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\n"))
	f.Add([]byte("::1\tlocalhost ip6-localhost # comment\n\n10.0.0.1 a A a.\n"))
	f.Add([]byte("fe80::1%eth0 x\n300.1.1.1 y\n#\n1.2.3.4 \xff bücher"))
	f.Fuzz(func(t *testing.T, text []byte) {
		names := readHosts(bytes.NewReader(text))
		for name, addrs := range names {
			if q, ok := FQDN(name); !ok || strings.TrimSuffix(q, ".") != name || len(addrs) == 0 {
				t.Fatalf("%q %v", name, addrs)
			}
		}
		more := readHosts(bytes.NewReader(append(bytes.Clone(text), "\n192.0.2.1 one.more\n"...)))
		for name, addrs := range names {
			if len(more[name]) < len(addrs) {
				t.Fatalf("%q: %v, then %v", name, addrs, more[name])
			}
		}
	})
}
