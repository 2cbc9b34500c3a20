package privilege

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/engine/edge/loop"
)

// Sockets are listening sockets, by protocol name and address.
type Sockets struct {
	all    []socket
	passed map[string]bool // the names of the sockets that systemd has passed
}

type socket struct {
	name, addr string
	file       *os.File
}

// Listeners are the addresses for one protocol.
type Listeners struct {
	Name  string // the name of passed sockets, such as "smtp"
	Key   string // the configuration key, such as "smtp.listen", for errors
	Addrs []string
	Set   func(addrs []string) // replaces the addresses
}

// Bind returns a socket for each address, and sets the addresses that the sockets have. They
// differ from the configuration for passed sockets, and for port 0.
func Bind(all []Listeners, kernel loop.Config) (*Sockets, error) {
	inherited, fromSystemd, err := handedOver()
	if err != nil {
		return nil, err
	}
	s := &Sockets{passed: make(map[string]bool)}
	for name := range inherited {
		s.passed[name] = fromSystemd
	}
	for _, part := range all {
		if err := s.take(part, inherited, kernel); err != nil {
			s.Close()
			return nil, err
		}
		delete(inherited, part.Name)
	}
	for name := range inherited {
		s.Close()
		return nil, fmt.Errorf("a passed socket has the unknown name %q (FileDescriptorName=): expected one of %s", name, strings.Join(names(all), ", "))
	}
	return s, nil
}

func names(all []Listeners) (ns []string) {
	for _, part := range all {
		ns = append(ns, part.Name)
	}
	return ns
}

// Passed reports whether systemd has passed the sockets of a name: then they are what its unit
// says, whatever the configuration says.
func (s *Sockets) Passed(name string) bool { return s.passed[name] }

// New is a socket that Open has bound.
type New struct{ socket }

// Addr is the address that it has, with the port that was picked for port 0.
func (n New) Addr() string { return n.addr }

// Close closes a socket that is not kept.
func (n New) Close() { _ = n.file.Close() }

// Open binds one more address. Connections wait until it is listened on.
func Open(name, key, addr string, kernel loop.Config) (New, error) {
	f, err := loop.Bind(addr, kernel)
	if err != nil {
		return New{}, fmt.Errorf("%s %s: %w", key, addr, explain(err))
	}
	bound, err := addrOf(f)
	if err != nil {
		_ = f.Close()
		return New{}, fmt.Errorf("%s %s: %w", key, addr, err)
	}
	return New{socket{name, bound, f}}, nil
}

// Keep adds a socket.
func (s *Sockets) Keep(n New) { s.all = append(s.all, n.socket) }

// Drop closes the socket of an address.
func (s *Sockets) Drop(name, addr string) {
	s.all = slices.DeleteFunc(s.all, func(k socket) bool {
		if k.name != name || k.addr != addr {
			return false
		}
		_ = k.file.Close()
		return true
	})
}

// addrOf returns the address of a listening socket.
func addrOf(f *os.File) (string, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return "", err
	}
	defer l.Close() // a duplicate
	return l.Addr().String(), nil
}

// take binds the addresses for one protocol, or takes its passed sockets.
func (s *Sockets) take(part Listeners, inherited map[string][]*os.File, kernel loop.Config) error {
	files := inherited[part.Name]
	if len(files) == 0 {
		for _, addr := range part.Addrs {
			f, err := loop.Bind(addr, kernel)
			if err != nil {
				return fmt.Errorf("%s %s: %w", part.Key, addr, explain(err))
			}
			files = append(files, f)
		}
	}
	var addrs []string
	for _, f := range files {
		addr, err := addrOf(f)
		if err != nil {
			return fmt.Errorf("the socket for %s: %w", part.Name, err)
		}
		s.all = append(s.all, socket{part.Name, addr, f})
		addrs = append(addrs, addr)
	}
	part.Set(addrs)
	return nil
}

// explain adds to a bind error what to do about it.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: only root may use ports below 1024; start as root with server.user set, or use a systemd socket (see \"postrider install --print\")", err)
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: another program listens there (\"ss -ltnp\" names it); stop it, or use another address", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this host has no such address (\"ip address\" lists them)", err)
	}
	return err
}

// File returns the socket that is bound to an address, or nil. The socket stays open and
// belongs to s.
func (s *Sockets) File(name, addr string) *os.File {
	if s == nil {
		return nil
	}
	i := slices.IndexFunc(s.all, func(k socket) bool { return k.name == name && k.addr == addr })
	if i < 0 {
		return nil
	}
	return s.all[i].file
}

// Close closes the sockets.
func (s *Sockets) Close() {
	for _, k := range s.all {
		_ = k.file.Close()
	}
}

// passEnv is the environment variable that tells the next process which descriptors are
// sockets: "7=smtp,8=pop3".
const passEnv = "POSTRIDER_SOCKETS"

// Pass keeps the sockets open across exec, and returns the environment variable for the new
// program.
func (s *Sockets) Pass() (env string, err error) {
	var words []string
	for _, k := range s.all {
		raw, e := k.file.SyscallConn()
		if e != nil {
			return "", e
		}
		e = raw.Control(func(fd uintptr) {
			_, err = unix.FcntlInt(fd, unix.F_SETFD, 0)
			words = append(words, fmt.Sprintf("%d=%s", fd, k.name))
		})
		if err = errors.Join(e, err); err != nil {
			return "", err
		}
	}
	return passEnv + "=" + strings.Join(words, ","), nil
}

// handedOver returns the sockets that this process was started with, by name.
func handedOver() (found map[string][]*os.File, fromSystemd bool, err error) {
	defer func() {
		for _, name := range []string{passEnv, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
			_ = os.Unsetenv(name) // no child may take them
		}
	}()
	found = make(map[string][]*os.File)
	add := func(fd int, name string) {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, false) // see loop.Bind; a bad descriptor fails later
		found[name] = append(found[name], os.NewFile(uintptr(fd), name))
	}
	if passed := os.Getenv(passEnv); passed != "" {
		for word := range strings.SplitSeq(passed, ",") {
			number, name, _ := strings.Cut(word, "=")
			fd, err := strconv.Atoi(number)
			if err != nil {
				return nil, false, fmt.Errorf("%s=%s: %w", passEnv, passed, err)
			}
			add(fd, name)
		}
		return found, false, nil
	}
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, false, nil // no sockets, or for another process
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return nil, false, fmt.Errorf("LISTEN_FDS of systemd: %w", err)
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for i := range n {
		name := "unknown"
		if i < len(names) {
			name = names[i]
		}
		add(firstPassed+i, name)
	}
	return found, true, nil
}

// firstPassed is SD_LISTEN_FDS_START.
const firstPassed = 3
