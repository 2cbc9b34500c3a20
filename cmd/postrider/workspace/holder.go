package workspace

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockHolder is the process that holds the lock on a file; 0: none that can be told.
func lockHolder(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock) != nil || lock.Type == unix.F_UNLCK {
		return 0
	}
	return int(lock.Pid)
}

// Process names a process: "process 17 (postfix)".
func Process(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(name)))
}

// PortHolder describes the process that listens at HOST:PORT: "process 17 (master) has
// it"; "" when that can't be told.
func PortHolder(addr string) string {
	host, digits, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if host == "" {
		host = "::"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, digits))
	if err != nil {
		return ""
	}
	inode := listenerOn(at)
	if inode == "" {
		return ""
	}
	pid := socketOwner(inode)
	if pid == 0 {
		return "a process of another user has it, which root can see"
	}
	return Process(pid) + " has it"
}

// listenerOn is the inode of the socket that keeps others from listening at an address.
func listenerOn(at netip.AddrPort) (inode string) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode; 0A is LISTEN.
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != "0A" {
				continue
			}
			ip, port, ok := kernelAddress(fields[1])
			if ok && port == at.Port() && (ip == at.Addr().Unmap() || ip.IsUnspecified() || at.Addr().IsUnspecified()) {
				inode = fields[9]
			}
		}
		f.Close()
	}
	return inode
}

// kernelAddress reads an address as /proc/net/tcp has it: words in the machine's order of
// octets (little-endian), in hexadecimal.
func kernelAddress(text string) (ip netip.Addr, port uint16, ok bool) {
	word, digits, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(digits, 16, 16)
	if err != nil || len(word) != 8 && len(word) != 32 {
		return ip, 0, false
	}
	var octets []byte
	for i := 0; i < len(word); i += 8 {
		w, err := strconv.ParseUint(word[i:i+8], 16, 32)
		if err != nil {
			return ip, 0, false
		}
		octets = append(octets, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	ip, ok = netip.AddrFromSlice(octets)
	return ip.Unmap(), uint16(n), ok
}

// socketOwner is the process that has a socket open; 0: none that we may look at.
func socketOwner(inode string) int {
	want := "socket:[" + inode + "]"
	found, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, path := range found {
		if link, err := os.Readlink(path); err == nil && link == want {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			return pid
		}
	}
	return 0
}
