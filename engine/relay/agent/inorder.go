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
	// maxHosts is how many addresses of a next hop one attempt tries (Postfix:
	// smtp_mx_address_limit). Addresses without a route from this machine don't count.
	maxHosts = 5
	// maxLooked bounds all addresses in an attempt, also the ones that don't count.
	maxLooked = 40
	// keptPlaces is how many of maxHosts are for the other IP version, when the best
	// addresses are all of one version, which may not work from this machine.
	keptPlaces = 2
)

// inOrder returns the addresses of a next hop in the order of the tries: the order of
// package mx, without the address except, and with the last places of maxHosts for the
// other IP version.
func inOrder(hosts []mx.Host, except netip.AddrPort) []mx.Host {
	all := slices.DeleteFunc(slices.Clone(hosts), func(h mx.Host) bool { return h.Addr == except })
	if len(all) <= maxHosts {
		return all
	}
	is4 := func(h mx.Host) bool { return h.Addr.Addr().Unmap().Is4() }
	best, others := is4(all[0]), 0
	for _, h := range all {
		if is4(h) != best {
			others++
		}
	}
	room := maxHosts - min(others, keptPlaces) // for the IP version of the best address
	var first, rest []mx.Host
	for _, h := range all {
		switch {
		case len(first) == maxHosts, is4(h) == best && room == 0:
			rest = append(rest, h)
			continue
		case is4(h) == best:
			room--
		}
		first = append(first, h)
	}
	return append(first, rest...)
}

// isLocalFault reports whether a dial failed on this machine, which has no route to the
// address. Such a dial sends no packet and takes no time.
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
