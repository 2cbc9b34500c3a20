package smtpclient

import "testing"

// The caller is told the outcome of STARTTLS: a connection in clear text because
// TLS failed is another one than a connection to a host that offers none.
func TestTLSDeclined(t *testing.T) {
	const offered = "220 a\r\n250-a\r\n250 STARTTLS\r\n"
	f := func(said string, end func(*player), declined, broke bool) {
		t.Helper()
		p := open(t, map[string]string{"begin": "none", "tls": "may"})
		tx, err := parseTransaction("to=ann@mx.example")
		if err != nil {
			t.Fatal(err)
		}
		p.begin(tx)
		p.feedAll([]byte(said))
		if end != nil {
			p.call(func() { end(p) })
		}
		if p.s.TLSDeclined() != declined || p.s.BrokeAtSTARTTLS() != broke {
			t.Errorf("%q: declined %t, broke %t", said, p.s.TLSDeclined(), p.s.BrokeAtSTARTTLS())
		}
	}
	lost := func(p *player) { p.s.Lost(&p.e) }
	late := func(p *player) { p.s.TimeOut(&p.e) }
	f("220 a\r\n250 a\r\n", lost, false, false)
	f(offered, nil, false, false)
	f(offered, lost, false, true)
	f(offered, late, false, true)
	f(offered+"what?\r\n", nil, false, true)
	f(offered+"421 4.3.2 bye\r\n", nil, false, true)
	f(offered+"454 4.7.0 not now\r\n", nil, true, false)
	f(offered+"502 no\r\n", lost, true, false)
	f(offered+"220 go\r\n", nil, false, false)
}
