package client

import (
	"net"
	"strings"
	"testing"
)

// To another host nothing goes in clear text, unless the option allows it.
func TestClearText(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	greeted := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			greeted <- struct{}{}
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.To4() == nil {
			continue
		}
		h := &Host{Addr: net.JoinHostPort(ip.IP.String(), port), Security: Clear}
		c, err := h.dial(t.Context())
		if err == nil {
			_ = c.Close()
		}
		if refused := err != nil && strings.Contains(err.Error(), "read on the way"); refused == ip.IP.IsLoopback() {
			t.Errorf("%s: %v", ip.IP, err)
		}
		h.ClearText = true
		if c, err := h.dial(t.Context()); err != nil {
			t.Errorf("%s, allowed: %v", ip.IP, err)
		} else {
			_ = c.Close()
		}
		tried++
	}
	if tried == 0 {
		t.Skip("there is no interface with an IPv4 address")
	}
}
