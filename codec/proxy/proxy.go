package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Header is a parsed header: the balancer's client.
type Header struct {
	Source      netip.AddrPort // the client; zero: the balancer speaks for itself
	Destination netip.AddrPort // what the client has dialled
}

// MaxHeader bounds a header, extensions included.
const MaxHeader = 2048

// maxLine bounds a header of version 1 (section 2.1 of the specification).
const maxLine = 107

// The reasons to refuse a connection.
var (
	ErrNone      = errors.New("no PROXY header: configure the balancer to send one, or remove its address from policy.proxy_networks")
	ErrMalformed = errors.New("malformed PROXY header")
	ErrTooLong   = errors.New("PROXY header of more than 2048 octets")
)

const (
	lineStart = "PROXY "
	signature = "\r\n\r\n\x00\r\nQUIT\n"
)

// Parse reads the header at the start of in and returns its length. 0 without an
// error means that more is needed.
func Parse(in []byte) (h Header, n int, err error) {
	switch {
	case startsLike(in, signature):
		return parseOctets(in)
	case startsLike(in, lineStart):
		return parseLine(in)
	}
	return h, 0, ErrNone
}

// startsLike reports whether in, as far as it goes, begins as s does.
func startsLike(in []byte, s string) bool {
	n := min(len(in), len(s))
	return string(in[:n]) == s[:n]
}

// parseLine reads version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 25".
func parseLine(in []byte) (h Header, n int, err error) {
	end := bytes.Index(in[:min(len(in), maxLine)], []byte("\r\n"))
	if end < 0 {
		if len(in) >= maxLine {
			return h, 0, ErrMalformed
		}
		return h, 0, nil
	}
	words := strings.Split(string(in[:end]), " ")
	n = end + 2
	if words[1] == "UNKNOWN" {
		return h, n, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return h, 0, ErrMalformed
	}
	source, ok1 := address(words[2], words[4], words[1] == "TCP4")
	destination, ok2 := address(words[3], words[5], words[1] == "TCP4")
	if !ok1 || !ok2 {
		return h, 0, ErrMalformed
	}
	return Header{source, destination}, n, nil
}

func address(ip, port string, four bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(ip)
	p, err2 := strconv.ParseUint(port, 10, 16)
	if err != nil || err2 != nil || a.Is4() != four || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}

// The octets after the signature of version 2.
const (
	fixedPart          = 16
	local, proxied     = 0x20, 0x21
	tcpOver4, tcpOver6 = 0x11, 0x21
)

// parseOctets reads version 2.
func parseOctets(in []byte) (h Header, n int, err error) {
	if len(in) < fixedPart {
		return h, 0, nil
	}
	n = fixedPart + int(binary.BigEndian.Uint16(in[14:]))
	if n > MaxHeader {
		return h, 0, ErrTooLong
	}
	command, family := in[12], in[13]
	if command != local && command != proxied {
		return h, 0, ErrMalformed
	}
	if len(in) < n {
		return h, 0, nil
	}
	if command == local {
		return h, n, nil
	}
	body, size := in[fixedPart:n], 0
	switch family {
	case tcpOver4:
		size = 4
	case tcpOver6:
		size = 16
	default:
		return h, n, nil
	}
	if len(body) < 2*size+4 {
		return h, 0, ErrMalformed
	}
	source, _ := netip.AddrFromSlice(body[:size])
	destination, _ := netip.AddrFromSlice(body[size : 2*size])
	ports := body[2*size:]
	h.Source = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(ports))
	h.Destination = netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	return h, n, nil
}
