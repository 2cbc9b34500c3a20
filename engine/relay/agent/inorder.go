package agent

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"postrider/engine/relay/mx"
)

const (
	// mostHosts is how many of a next hop's addresses are tried in one attempt
	// (Postfix: smtp_mx_address_limit). Addresses that this machine can't reach at
	// all, which shows at once, don't count.
	mostHosts = 5
	// mostLooked bounds the addresses of an attempt, with those that don't count.
	mostLooked = 40
	// keptPlaces is how many of mostHosts are kept for the other IP version, when
	// the best addresses are all of one: it may lead nowhere from here.
	keptPlaces = 2
)

// inOrder is the order in which the addresses of a next hop are tried: as the
// package mx has it, without the one that was asked already, and with the last places
// of mostHosts for the other IP version.
func inOrder(hosts []mx.Host, been netip.AddrPort) []mx.Host {
	all := slices.DeleteFunc(slices.Clone(hosts), func(h mx.Host) bool { return h.Addr == been })
	if len(all) <= mostHosts {
		return all
	}
	is4 := func(h mx.Host) bool { return h.Addr.Addr().Unmap().Is4() }
	best, others := is4(all[0]), 0
	for _, h := range all {
		if is4(h) != best {
			others++
		}
	}
	room := mostHosts - min(others, keptPlaces) // for the version of the best one
	var first, rest []mx.Host
	for _, h := range all {
		switch {
		case len(first) == mostHosts, is4(h) == best && room == 0:
			rest = append(rest, h)
			continue
		case is4(h) == best:
			room--
		}
		first = append(first, h)
	}
	return append(first, rest...)
}

// isLocalFault says whether an error of a dial is this machine's: it has no way to
// such an address. No packet was sent, and no time went by.
func isLocalFault(err error) bool {
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		return true // relay.source is of the other IP version
	}
	for _, e := range []syscall.Errno{
		syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT,
		syscall.EPROTONOSUPPORT, syscall.EACCES, syscall.EPERM, syscall.EINVAL,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
