package agent

import (
	"strings"
	"testing"
)

// Mail for a domain whose hosts have private addresses bounces at once, and the bounce names
// the key that permits them. A next hop that the operator named may have such addresses.
func TestPrivateHostsOfADomain(t *testing.T) {
	b := newBed(t, nil, 0, func(set *Settings) { set.Rules = transports("named.test=[127.0.0.2]") },
		"inner.test. 300 IN MX 10 mx.inner.test.", "mx.inner.test. 300 IN A 10.255.255.1", "mx.inner.test. 300 IN A 169.254.169.254")
	startScripted(t, b.at(2), nil)
	for _, to := range []string{"bob@inner.test", "eve@[192.168.255.1]"} {
		b.submit(to)
	}
	for _, want := range []string{
		"mail for inner.test is not sent to mx.inner.test[10.255.255.1]: this address is private or local, and not in relay.private_networks",
		"mail for 192.168.255.1 is not sent to 192.168.255.1[192.168.255.1]: this address is private or local, and not in relay.private_networks",
	} {
		b.until(want, func() bool {
			return strings.Contains(b.log.String(), "dsn=5.4.4, status=bounced ("+want+")") ||
				strings.Contains(b.log.String(), "dsn=5.4.4, status=bounced ("+strings.Replace(want, "10.255.255.1", "169.254.169.254", 1)+")")
		})
	}
	b.submit("joe@named.test")
	b.empty()
}
