package privilege

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/engine/edge/loop"
)

// Tests that change the user or pass sockets run in a child process: this program, with a
// role in its environment.
const roleEnv = "PRIVILEGE_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := map[string]func() error{"drop": drop, "take": take, "pass": pass}[role](); err != nil {
		fmt.Println("FAULT:", err)
		os.Exit(1)
	}
}

// child runs this program in a role, through a shell that sets the environment as systemd
// does.
func child(t *testing.T, role, before string, files ...*os.File) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", before+` exec "$0"`, self)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// drop becomes an unprivileged user while other threads run, with a socket that only root may
// bind.
func drop() error {
	var held sync.WaitGroup
	held.Add(4)
	end := make(chan bool)
	for range 4 {
		go func() {
			runtime.LockOSThread()
			held.Done()
			<-end
		}()
	}
	held.Wait()
	at := []string{"127.0.0.1:0"}
	s, err := Bind([]Listeners{listeners("smtp", &at)}, nil, loop.Config{})
	if err != nil {
		return err
	}
	u, err := Find("nobody")
	if err != nil {
		return err
	}
	if err := Become(u); err != nil {
		return err
	}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) < 5 {
		return fmt.Errorf("%d threads, %w", len(tasks), err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			return err
		}
		for _, want := range []string{
			fmt.Sprintf("\nUid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", u.UID), fmt.Sprintf("\nGid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", u.GID),
			"\nGroups:\t" + strings.Trim(fmt.Sprint(u.Groups), "[]") + " \n", "\nCapEff:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n",
		} {
			if !strings.Contains(string(text), want) {
				return fmt.Errorf("thread without %q:\n%s", want, text)
			}
		}
	}
	if syscall.Setuid(0) == nil || syscall.Setgid(0) == nil {
		return fmt.Errorf("root can be had back")
	}
	if f, err := os.Open("/etc/shadow"); err == nil {
		return fmt.Errorf("%s can be read", f.Name())
	}
	if _, err := os.ReadDir("/proc/self/fd"); err != nil {
		return err
	}
	if Become(User{Name: "root"}) == nil {
		return fmt.Errorf("root was taken back")
	}
	c, err := net.Dial("tcp", at[0])
	if err != nil || s.File("smtp", at[0]) == nil {
		return fmt.Errorf("the socket is gone: %w", err)
	}
	return c.Close()
}

func TestBecome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	child(t, "drop", "")
}

// listening returns the addresses for the socket tests. smtp gets the bound addresses.
func listening(smtp *[]string) []Listeners {
	pop3 := []string{"127.0.0.1:0"}
	*smtp = []string{"127.0.0.1:0"}
	return []Listeners{listeners("smtp", smtp), listeners("pop3", &pop3)}
}

func listeners(name string, at *[]string) Listeners {
	return Listeners{Name: name, Key: name + ".listen", Addrs: *at, Set: func(addrs []string) { *at = addrs }}
}

// take binds, and prints the addresses.
func take() error {
	var smtp []string
	held, err := Inherited()
	if err != nil {
		return err
	}
	s, err := Bind(listening(&smtp), held, loop.Config{})
	if err != nil {
		fmt.Println(err)
		return nil
	}
	for _, k := range s.all {
		fmt.Println(k.name, k.addr)
	}
	fmt.Println(len(smtp), os.Getenv("LISTEN_FDS")+os.Getenv(passEnv))
	return nil
}

// pass binds, and then execs itself with the role take.
func pass() error {
	held, err := Inherited()
	if err != nil {
		return err
	}
	s, err := Bind(listening(new([]string)), held, loop.Config{})
	if err != nil {
		return err
	}
	env, err := s.Pass()
	if err != nil {
		return err
	}
	fmt.Println("passed")
	return syscall.Exec("/proc/self/exe", os.Args, []string{env, roleEnv + "=take"})
}

// sockets are two listening sockets and their addresses.
func sockets(t *testing.T) (files []*os.File, addrs []any) {
	t.Helper()
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files, addrs = append(files, f), append(addrs, l.Addr())
	}
	return files, addrs
}

func TestSocketsOfSystemd(t *testing.T) {
	files, addrs := sockets(t)
	out := child(t, "take", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=smtp:smtp", files...)
	if want := fmt.Sprintf("smtp %s\nsmtp %s\npop3 127.0.0.1:", addrs...); !strings.HasPrefix(out, want) || !strings.HasSuffix(out, "\n2 \n") {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if out := child(t, "take", "LISTEN_PID=1 LISTEN_FDS=2 LISTEN_FDNAMES=smtp:smtp", files...); strings.Contains(out, addrs[0].(net.Addr).String()) {
		t.Errorf("took what was meant for another process:\n%s", out)
	}
	if out := child(t, "take", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=smtp:imap", files...); !strings.Contains(out, `"imap"`) || !strings.Contains(out, "smtp, pop3") {
		t.Errorf("an unknown name: %s", out)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if out := child(t, "take", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=smtp", null); !strings.Contains(out, "the socket for smtp: ") {
		t.Errorf("no socket at all: %s", out)
	}
}

func TestSocketsArePassedOn(t *testing.T) {
	files, addrs := sockets(t)
	out := child(t, "pass", "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=smtp:pop3", files...)
	if want := fmt.Sprintf("passed\nsmtp %s\npop3 %s\n1 \n", addrs...); out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// tcp is a socket that listens, as one that was handed over.
func tcp(t *testing.T, name, asked string) socket {
	t.Helper()
	f, err := loop.Bind(asked, loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return socket{name: name, asked: asked, file: f}
}

// isOpen reports whether a file is.
func isOpen(f *os.File) bool {
	_, err := f.Stat()
	return err == nil
}

// Sockets that were handed over are taken by the address that the configuration asks for, of
// the same protocol first. What is not asked for any more is closed, before it is in the way.
func TestHeldSockets(t *testing.T) {
	port := func(k socket) string {
		addr, err := addrOf(k.file)
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	moved := tcp(t, "smtp", "127.0.0.1:0")
	moved.asked = "127.0.0.1:" + port(moved)
	other := tcp(t, "smtp", "127.0.0.1:0")
	other.asked = "127.0.0.1:" + port(other)
	anyPort, anyPop3, gone := tcp(t, "smtp", "127.0.0.1:0"), tcp(t, "pop3", "127.0.0.1:0"), tcp(t, "smtp", "127.0.0.1:0")
	gone.asked = "127.0.0.1:" + port(gone)
	held := &Held{all: []socket{anyPop3, moved, other, anyPort, gone}}
	smtp := []string{"127.0.0.1:0", "0.0.0.0:" + port(other), "127.0.0.1:0"}
	pop3 := []string{moved.asked, "127.0.0.1:0"}
	want := [][]string{{"127.0.0.1:" + port(anyPort), smtp[1], ""}, {moved.asked, "127.0.0.1:" + port(anyPop3)}}
	s, err := Bind([]Listeners{listeners("smtp", &smtp), listeners("pop3", &pop3)}, held, loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want[0][2] = smtp[2] // a new one
	if got := [][]string{smtp, pop3}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if isOpen(gone.file) || isOpen(other.file) || !isOpen(moved.file) || !isOpen(anyPort.file) || !isOpen(anyPop3.file) {
		t.Error("what is not asked for is open, or what is asked for is closed")
	}
	var names []string
	for _, k := range s.all {
		names = append(names, k.name)
	}
	if fmt.Sprint(names) != "[smtp smtp smtp pop3 pop3]" {
		t.Errorf("%v", names)
	}
}

// At an error the sockets that fit can still be passed on.
func TestHeldSocketsStayAtAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	held := &Held{all: []socket{tcp(t, "smtp", "127.0.0.1:0"), tcp(t, "pop3", "127.0.0.1:0")}}
	smtp, pop3 := []string{"127.0.0.1:0", taken.Addr().String()}, []string{"127.0.0.1:0"}
	if _, err := Bind([]Listeners{listeners("smtp", &smtp), listeners("pop3", &pop3)}, held, loop.Config{}); err == nil {
		t.Fatal("an address that is taken was bound")
	}
	env, err := held.Pass()
	if err != nil || strings.Count(env, `"fd":`) != 2 {
		t.Errorf("%s %v", env, err)
	}
	for _, k := range held.all {
		if !isOpen(k.file) {
			t.Errorf("%s is closed", k.name)
		}
		unix.CloseOnExec(int(k.file.Fd())) //nolint:gosec // a descriptor
	}
}

// Try finds which addresses a process could not bind that gets the sockets of this one.
func TestTry(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	_, port, _ := net.SplitHostPort(at)
	s := &Sockets{all: []socket{{name: "smtp", asked: at}, {name: "pop3", systemd: true}, {name: "admin", asked: "/run/admin.sock", local: true}}}
	f := func(want string, smtp ...string) {
		t.Helper()
		pop3 := []string{"192.0.2.1:110"} // not asked for: systemd has passed one
		err := Try([]Listeners{listeners("smtp", &smtp), listeners("pop3", &pop3)}, s.Listed(), loop.Config{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", smtp, err, want)
		}
	}
	f("", at)
	f("", at, "127.0.0.1:0")
	f("", "0.0.0.0:"+port) // the one that is in the way is closed then
	f("smtp.listen 0.0.0.0:"+port, at, "0.0.0.0:"+port)
	f("smtp.listen 192.0.2.1:25: ", at, "192.0.2.1:25")
	if err := Try(nil, s.Listed(), loop.Config{}); err == nil || !strings.Contains(err.Error(), `"pop3"`) {
		t.Error(err)
	}
}

// A unix socket that was handed over is taken if its path still leads to it; one at another
// path is removed.
func TestHeldUnixSockets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	made := 0
	listen := func(path string) func() (*net.UnixListener, error) {
		return func() (*net.UnixListener, error) {
			made++
			return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		}
	}
	s := new(Sockets)
	l, err := s.Unix("admin", path, listen(path))
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	c, err := net.Dial("unix", path) // waits in the kernel
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	next := &Sockets{all: s.all}
	if l, err = next.Unix("admin", path, listen(path)); err != nil || made != 1 {
		t.Fatalf("made %d, %v", made, err)
	}
	if got, err := l.Accept(); err != nil {
		t.Error(err)
	} else {
		got.Close()
	}
	l.Close()
	other := filepath.Join(dir, "other")
	last := &Sockets{all: next.all}
	if l, err = last.Unix("admin", other, listen(other)); err != nil || made != 2 {
		t.Fatalf("made %d, %v", made, err)
	}
	defer l.Close()
	defer last.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket at the path before is still there: %v", err)
	}
}

func TestUnknownUser(t *testing.T) {
	if _, err := Find("nobody-by-that-name"); err == nil || !strings.Contains(err.Error(), "install --print") {
		t.Errorf("%v", err)
	}
}

// The error about an address that can't be bound has the key and what to do.
func TestAddressesThatCannotBeBound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for addr, want := range map[string]string{l.Addr().String(): "another program listens there", "192.0.2.1:2525": "this host has no such address"} {
		at := []string{addr}
		s, err := Bind([]Listeners{listeners("smtp", &at)}, nil, loop.Config{})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
