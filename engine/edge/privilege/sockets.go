package privilege

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"postrider/engine/edge/loop"
)

// Sockets are listening sockets, by protocol name and address.
type Sockets struct {
	all    []socket
	passed map[string]bool // the names of the sockets that systemd has passed
}

// socket is a listening socket. asked is its address as the configuration has it, which the
// next process knows it by: addr may have a port that was picked. systemd: it is what a unit
// of systemd says, whatever the configuration asks for.
type socket struct {
	name, asked, addr string
	systemd, local    bool // local: it is a unix socket, and asked its path
	file              *os.File
}

// Listeners are the addresses for one protocol.
type Listeners struct {
	Name  string // the name of passed sockets, such as "smtp"
	Key   string // the configuration key, such as "smtp.listen", for errors
	Addrs []string
	Set   func(addrs []string) // replaces the addresses
}

// Bind returns a socket for each address, and sets the addresses that the sockets have. They
// differ from the configuration for sockets of systemd, and for port 0. It takes the sockets
// that are held already, nil: none, and closes sockets that are not asked for. At an error the
// ones that fit are still held.
func Bind(all []Listeners, held *Held, kernel loop.Config) (*Sockets, error) {
	if held == nil {
		held = new(Held)
	}
	if err := held.areKnown(all); err != nil {
		return nil, err
	}
	s := &Sockets{passed: make(map[string]bool)}
	got, missing := make([][]socket, len(all)), make([][]int, len(all))
	for n, part := range all {
		got[n], missing[n] = held.pick(part)
		s.passed[part.Name] = len(got[n]) > 0 && got[n][0].systemd
	}
	made, err := held.bindAll(all, got, missing, kernel)
	for n, part := range all {
		if err == nil {
			err = part.named(got[n])
		}
		s.all = append(s.all, got[n]...)
	}
	if err != nil {
		closeAll(made)
		return nil, err
	}
	held.leave(s)
	return s, nil
}

// bindAll binds what is missing.
func (h *Held) bindAll(all []Listeners, got [][]socket, missing [][]int, kernel loop.Config) (made []socket, err error) {
	for n, part := range all {
		for _, i := range missing[n] {
			k := &got[n][i]
			if k.file, err = h.bind(k.asked, kernel); err != nil {
				return made, fmt.Errorf("%s %s: %w", part.Key, k.asked, explain(err))
			}
			made = append(made, *k)
		}
	}
	return made, nil
}

func closeAll(ss []socket) {
	for _, k := range ss {
		_ = k.file.Close()
	}
}

// named sets the addresses of the sockets.
func (part Listeners) named(ss []socket) (err error) {
	addrs := make([]string, len(ss))
	for i := range ss {
		if ss[i].addr, err = addrOf(ss[i].file); err != nil {
			return fmt.Errorf("the socket for %s: %w", part.Name, err)
		}
		addrs[i] = ss[i].addr
	}
	part.Set(addrs)
	return nil
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
	return New{socket{name: name, asked: addr, addr: bound, file: f}}, nil
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

// Ask notes that the configuration has the socket of an address as asked now. addr is the address
// that it is bound to.
func (s *Sockets) Ask(name, addr, asked string) {
	for i := range s.all {
		if k := &s.all[i]; k.name == name && k.addr == addr && !k.systemd && !k.local {
			k.asked = asked
		}
	}
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

// Unix returns a unix socket at path: the one that is held, or else the one that listen
// makes. s has a duplicate of it, for the next process.
func (s *Sockets) Unix(name, path string, listen func() (*net.UnixListener, error)) (l *net.UnixListener, err error) {
	i := slices.IndexFunc(s.all, func(k socket) bool { return k.local && k.name == name })
	if i >= 0 {
		k := s.all[i]
		s.all = slices.Delete(s.all, i, i+1)
		defer k.file.Close()
		if k.asked == path {
			if l = unixListener(k.file, path); l != nil {
				return l, s.keepUnix(name, path, l)
			}
		} else {
			_ = os.Remove(k.asked)
		}
	}
	if l, err = listen(); err != nil {
		return nil, err
	}
	return l, s.keepUnix(name, path, l)
}

// unixListener is the listener of a socket that was handed over; nil: its path leads to it no
// more.
func unixListener(f *os.File, path string) *net.UnixListener {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return nil
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		_ = l.Close()
		return nil
	}
	u.SetUnlinkOnClose(false)
	return u
}

func (s *Sockets) keepUnix(name, path string, l *net.UnixListener) error {
	f, err := l.File()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s.all = append(s.all, socket{name: name, asked: path, addr: path, local: true, file: f})
	return nil
}

// Close closes the sockets.
func (s *Sockets) Close() { closeAll(s.all) }
