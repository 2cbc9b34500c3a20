package privilege

import (
	"encoding/json"
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

// Held are listening sockets that the process was started with: sockets of systemd, or of the
// process that it replaces.
type Held struct{ all []socket }

// passEnv is the environment variable that tells the next process which descriptors are
// sockets: a list of handed.
const passEnv = "POSTRIDER_SOCKETS"

// handed is a socket as the next process is told of it.
type handed struct {
	FD      int    `json:"fd"`
	Name    string `json:"name"`
	Addr    string `json:"addr,omitempty"` // as the configuration has it, or the path of a unix socket
	Systemd bool   `json:"systemd,omitempty"`
	Local   bool   `json:"unix,omitempty"`
}

// Inherited returns the sockets that the process was started with. No child of it gets them.
func Inherited() (*Held, error) {
	defer func() {
		for _, name := range []string{passEnv, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
			_ = os.Unsetenv(name)
		}
	}()
	h := new(Held)
	if text := os.Getenv(passEnv); text != "" {
		var all []handed
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", passEnv, text, err)
		}
		for _, one := range all {
			h.add(one)
		}
		return h, nil
	}
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return h, nil // no sockets, or for another process
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return nil, fmt.Errorf("LISTEN_FDS of systemd: %w", err)
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for i := range n {
		name := "unknown"
		if i < len(names) {
			name = names[i]
		}
		h.add(handed{FD: firstPassed + i, Name: name, Systemd: true})
	}
	return h, nil
}

// firstPassed is SD_LISTEN_FDS_START.
const firstPassed = 3

func (h *Held) add(one handed) {
	unix.CloseOnExec(one.FD)
	_ = unix.SetNonblock(one.FD, false) // see loop.Bind; a bad descriptor fails later
	h.all = append(h.all, socket{
		name: one.Name, asked: one.Addr, systemd: one.Systemd, local: one.Local, file: os.NewFile(uintptr(one.FD), one.Name), //nolint:gosec // a descriptor
	})
}

// IsHandedOver reports whether the process before this one has passed them, and not systemd.
func (h *Held) IsHandedOver() bool {
	return slices.ContainsFunc(h.all, func(k socket) bool { return !k.systemd })
}

// areKnown refuses sockets of systemd that have no listener: connections to them would wait
// for ever.
func (h *Held) areKnown(all []Listeners) error {
	for _, k := range h.all {
		if !k.local && !slices.Contains(names(all), k.name) && k.systemd {
			return fmt.Errorf("a passed socket has the unknown name %q (FileDescriptorName=): expected one of %s", k.name, strings.Join(names(all), ", "))
		}
	}
	return nil
}

// pick returns the sockets for one protocol: what systemd has passed, or one for each address.
// Sockets with the indexes missing are not held. What is picked stays held, but is not picked
// again.
func (h *Held) pick(part Listeners) (got []socket, missing []int) {
	for _, k := range h.all {
		if k.systemd && k.name == part.Name {
			got = append(got, k)
		}
	}
	if len(got) > 0 {
		return got, nil
	}
	for n, addr := range part.Addrs {
		k := socket{name: part.Name, asked: addr}
		i := h.index(func(o *socket) bool { return o.name == part.Name && o.asked == addr })
		if i < 0 && !strings.HasSuffix(addr, ":0") { // it may have been another protocol's
			i = h.index(func(o *socket) bool { return o.asked == addr })
		}
		if i >= 0 {
			k.file, h.all[i].addr = h.all[i].file, picked
		} else {
			missing = append(missing, n)
		}
		got = append(got, k)
	}
	return got, missing
}

// picked is the addr of a socket in Held that pick has returned.
const picked = "picked"

// index finds a socket of TCP that the configuration has asked for and that is not picked.
func (h *Held) index(fits func(*socket) bool) int {
	return slices.IndexFunc(h.all, func(k socket) bool { return !k.local && !k.systemd && k.addr != picked && fits(&k) })
}

// bind binds an address that is not held. A held socket that is not picked may be in the way:
// then that one is closed.
func (h *Held) bind(addr string, kernel loop.Config) (*os.File, error) {
	f, err := loop.Bind(addr, kernel)
	if !errors.Is(err, unix.EADDRINUSE) {
		return f, err
	}
	closed := false
	h.all = slices.DeleteFunc(h.all, func(k socket) bool {
		if k.local || k.systemd || k.addr == picked || !samePort(k.asked, addr) {
			return false
		}
		closed = true
		_ = k.file.Close()
		return true
	})
	if !closed {
		return nil, err
	}
	return loop.Bind(addr, kernel)
}

func samePort(a, b string) bool {
	_, p, err := net.SplitHostPort(a)
	_, q, err2 := net.SplitHostPort(b)
	return err == nil && err2 == nil && p == q
}

// leave gives the unix sockets to s, and closes what was not picked.
func (h *Held) leave(s *Sockets) {
	for _, k := range h.all {
		switch {
		case k.local:
			s.all = append(s.all, k)
		case !k.systemd && k.addr != picked:
			_ = k.file.Close()
		}
	}
	h.all = nil
}

// Pass keeps the sockets open across exec, and returns the environment variable for the new
// program.
func (s *Sockets) Pass() (env string, err error) { return passed(s.all) }

// Pass is Sockets.Pass for a process that could not start.
func (h *Held) Pass() (env string, err error) { return passed(h.all) }

func passed(all []socket) (env string, err error) {
	list := []handed{}
	for _, k := range all {
		raw, e := k.file.SyscallConn()
		if e != nil {
			return "", e
		}
		e = raw.Control(func(fd uintptr) {
			_, err = unix.FcntlInt(fd, unix.F_SETFD, 0)
			list = append(list, handed{int(fd), k.name, k.asked, k.systemd, k.local}) //nolint:gosec // a descriptor
		})
		if err = errors.Join(e, err); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(list)
	return passEnv + "=" + string(text), err
}

// Listed are the sockets of s as text, for Try of another process.
func (s *Sockets) Listed() string {
	list := []handed{}
	for _, k := range s.all {
		list = append(list, handed{-1, k.name, k.asked, k.systemd, k.local})
	}
	text, _ := json.Marshal(list) // can't fail with these fields
	return string(text)
}

// Try reports whether a process with the sockets that are listed (see Listed) could bind the
// others. It binds them for a moment.
func Try(all []Listeners, listed string, kernel loop.Config) error {
	var list []handed
	if err := json.Unmarshal([]byte(listed), &list); err != nil {
		return fmt.Errorf("the list of sockets: %w", err)
	}
	h := new(Held)
	for _, one := range list {
		h.all = append(h.all, socket{name: one.Name, asked: one.Addr, systemd: one.Systemd, local: one.Local})
	}
	if err := h.areKnown(all); err != nil {
		return err
	}
	var missing []socket
	keys := make(map[string]string)
	for _, part := range all {
		got, lacking := h.pick(part)
		for _, i := range lacking {
			missing = append(missing, got[i])
		}
		keys[part.Name] = part.Key
	}
	for _, k := range missing { // when all are picked, so that sockets in the way are known
		made, err := Open(k.name, keys[k.name], k.asked, kernel)
		if err == nil {
			made.Close()
			continue
		}
		inTheWay := h.index(func(o *socket) bool { return samePort(o.asked, k.asked) }) >= 0
		if !errors.Is(err, unix.EADDRINUSE) || !inTheWay {
			return err
		}
	}
	return nil
}
