package smtp

import (
	"bytes"
	"net/netip"
)

// Client has XCLIENT's values about the client that the peer speaks for.
type Client struct {
	Addr netip.Addr // zero: as it was
	Name string     // "": as it was; "unknown": it has none
}

var (
	xclientSyntax  = Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: XCLIENT name=value ..., of the names that EHLO lists"}
	xclientAddress = Reply{Code: 501, Enhanced: "5.5.4", Text: "ADDR is an IPv4 address, or IPV6: and an IPv6 address"}
)

// maxClientName is what DNS allows.
const maxClientName = 255

// ParseXclient reads the argument of XCLIENT, Postfix's extension. HELO, PROTO and
// PORT are ignored: the client sends its name again, and the rest is for logs.
func ParseXclient(arg []byte) (c Client, refused *Reply) {
	words := bytes.Fields(arg)
	if len(words) == 0 {
		return c, &xclientSyntax
	}
	for _, w := range words {
		name, raw, ok := bytes.Cut(w, []byte{'='})
		value := AppendXtextDecoded(nil, raw)
		if !ok || !isXtext(raw) {
			return Client{}, &xclientSyntax
		}
		absent := equalFoldASCII(value, "[unavailable]") || equalFoldASCII(value, "[tempunavail]")
		switch {
		case equalFoldASCII(name, "addr"):
			if c.Addr = clientAddr(value); !c.Addr.IsValid() {
				return Client{}, &xclientAddress
			}
		case equalFoldASCII(name, "name") && absent:
			c.Name = "unknown"
		case equalFoldASCII(name, "name"):
			if !isClientName(value) {
				return Client{}, &xclientSyntax
			}
			c.Name = string(value)
		case equalFoldASCII(name, "helo"), equalFoldASCII(name, "proto"), equalFoldASCII(name, "port"):
		default:
			return Client{}, &xclientSyntax
		}
	}
	return c, nil
}

func clientAddr(value []byte) netip.Addr {
	six := len(value) > 5 && equalFoldASCII(value[:5], "ipv6:")
	if six {
		value = value[5:]
	}
	ip, err := netip.ParseAddr(string(value))
	if err != nil || ip.Is4() == six || ip.Zone() != "" {
		return netip.Addr{}
	}
	return ip.Unmap()
}

// isClientName lets through what a trace field and a log line can take.
func isClientName(name []byte) bool {
	if len(name) == 0 || len(name) > maxClientName {
		return false
	}
	for _, c := range name {
		if c != '-' && c != '.' && c != '_' && (c < '0' || c > '9') && (lower(c) < 'a' || lower(c) > 'z') {
			return false
		}
	}
	return true
}
