package localmail

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/host/unixsocket"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// room is a Room for tests.
type room struct {
	mu         sync.Mutex
	left, most int64
	all        int64
}

func (r *room) Reserve(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.left {
		return false
	}
	r.left -= n
	r.most = max(r.most, r.all-r.left)
	return true
}

func (r *room) Release(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
}

// taken is a message that Submit has got.
type taken struct {
	m    incoming.Mail
	text string
}

// start starts a server whose Submit reads the text and then calls f.
func start(t *testing.T, f func(taken) (incoming.Result, error)) (path string, r *room) {
	t.Helper()
	return startLimited(t, maxTime, f)
}

// serveAt serves at a path until stop is called.
func serveAt(path string, room Room, submit Submit, limit time.Duration) (stop func(), err error) {
	l, err := Listen(path)
	if err != nil {
		return nil, err
	}
	end := serve(l, room, submit, limit)
	return func() {
		_ = os.Remove(path)
		end(context.Background())
	}, nil
}

// startLimited is start with another maxTime.
func startLimited(t *testing.T, limit time.Duration, f func(taken) (incoming.Result, error)) (path string, r *room) {
	t.Helper()
	r = &room{left: 64 << 20, all: 64 << 20}
	path = filepath.Join(t.TempDir(), "mail.sock")
	stop, err := serveAt(path, r, func(_ context.Context, m incoming.Mail, reserve func(int64) bool) (incoming.Result, error) {
		text, err := io.ReadAll(m.Text)
		if err != nil {
			return incoming.Result{}, err
		}
		if !reserve(int64(len(text))) {
			return incoming.Result{}, storage.ErrTemporary
		}
		return f(taken{m, string(text)})
	}, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
		if r.left != r.all {
			t.Errorf("%d octets are booked for ever", r.all-r.left)
		}
	})
	return path, r
}

func stored(taken) (incoming.Result, error) {
	return incoming.Result{Receipt: storage.NewReceipt(42)}, nil
}

func TestSend(t *testing.T) {
	got := make(chan taken, 1)
	path, _ := start(t, func(m taken) (incoming.Result, error) { got <- m; return stored(m) })
	sender := "boss@x.example"
	long := "Subject: long\n\n" + strings.Repeat("a line of a long text.\n", 200_000)
	for _, l := range []Envelope{
		{Sender: &sender, Recipients: []string{"a, b@c"}, FromHeader: true, Notify: smtp.NotifyDelay, Ret: smtp.RetHdrs, EnvID: "a+2Bb", FullName: "Boss"},
		{Recipients: []string{strings.Repeat("x", 1000)}},
	} {
		a, err := Send(t.Context(), path, l, strings.NewReader(long))
		if err != nil || a.ID != "000000000001A" || a.Error != "" {
			t.Fatalf("%+v %v", a, err)
		}
		m := (<-got)
		uid := strconv.Itoa(os.Getuid())
		if m.text != long || m.m.Local != "userid "+uid || !strings.HasPrefix(m.m.Origin, "userid "+uid+" (") || !m.m.Return {
			t.Errorf("%d octets, %q %q", len(m.text), m.m.Local, m.m.Origin)
		}
		if l.Sender != nil && (m.m.Sender != sender || m.m.FullName != "Boss" || !m.m.FromHeader || m.m.EnvID != "a+2Bb" || m.m.Ret != smtp.RetHdrs || m.m.Notify != smtp.NotifyDelay) {
			t.Errorf("%+v", m.m)
		}
		if l.Sender == nil && (m.m.Sender == "" || strings.Contains(m.m.Sender, "@")) {
			t.Errorf("the sender is %q", m.m.Sender)
		}
	}
}

// Each error has a Kind that the caller can act on.
func TestSendTellsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		result incoming.Result
		err    error
		kind   Kind
		text   string
	}{
		{incoming.Result{}, incoming.ErrNoRecipients, Usage, "no recipients"},
		{incoming.Result{}, fmt.Errorf("%w: larger than", storage.ErrInvalid), Data, "larger than"},
		{incoming.Result{}, storage.ErrFull, Later, storage.ErrFull.Error()},
		{incoming.Result{}, errors.New("the disk"), Later, "the disk"},
		{incoming.Result{Refused: []incoming.Refusal{{Address: "who@here", Outcome: router.Unknown}}}, nil, NoUser, "who@here; nothing was sent"},
	} {
		path, _ := start(t, func(taken) (incoming.Result, error) { return c.result, c.err })
		a, err := Send(t.Context(), path, Envelope{}, strings.NewReader("x"))
		if err != nil || a.Kind != c.kind || !strings.Contains(a.Error, c.text) || a.ID != "" {
			t.Errorf("%v: %+v %v", c.err, a, err)
		}
	}
}

// dial is an HTTP client over the socket.
func dial(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}

// The socket accepts mail, and no other request.
func TestNothingButMail(t *testing.T) {
	path, _ := start(t, stored)
	for _, c := range [][2]string{{"GET", "/mail"}, {"GET", "/status"}, {"POST", "/v1/accounts"}, {"POST", "/"}, {"PUT", "/mail"}, {"GET", "/metrics"}} {
		req, err := http.NewRequest(c[0], "http://x"+c[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dial(path).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(got.Body)
		got.Body.Close()
		if got.StatusCode != http.StatusForbidden || string(text) != "this socket accepts mail only\n" {
			t.Errorf("%v: %s %q", c, got.Status, text)
		}
	}
}

// A body without an envelope, or that breaks off, is not a message.
func TestBodiesThatAreNoEnvelope(t *testing.T) {
	path, _ := start(t, func(m taken) (incoming.Result, error) {
		t.Errorf("%q was taken", m.text)
		return stored(m)
	})
	coded := func(l any) string {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.Itoa(len(text)) + "\n" + string(text)
	}
	for _, body := range []string{
		"", "\n", "12", "x\n{}", "-1\n{}", "3\n{}", "9999999999\n{}", strconv.Itoa(maxEnvelope+1) + "\n" + strings.Repeat(" ", maxEnvelope+1), "2\n[]",
		coded(map[string]any{"Notify": 77}), coded(map[string]any{"Notify": smtp.NotifyNever | smtp.NotifyDelay}), coded(map[string]any{"Ret": 9}),
		coded(Envelope{EnvID: "x\r\nRCPT TO:<y@z>"}), coded(Envelope{EnvID: "a b"}), coded(Envelope{EnvID: "+2"}), coded(Envelope{EnvID: strings.Repeat("x", 300)}),
	} {
		got, err := dial(path).Post("http://x/mail", "", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var a Answer
		err = json.NewDecoder(got.Body).Decode(&a)
		got.Body.Close()
		if err != nil || a.Kind != Data || a.ID != "" || !strings.Contains(a.Error, "the envelope can't be read") {
			t.Errorf("%.40q: %+v %v", body, a, err)
		}
	}
	// The answer reaches a client that has much more to say.
	got, err := Send(t.Context(), path, Envelope{EnvID: "="}, strings.NewReader(strings.Repeat("x", 8<<20)))
	if err != nil || got.Kind != Data {
		t.Errorf("%+v %v", got, err)
	}
	// The text breaks off: a chunk is announced and does not come.
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /mail HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n2\n{}\r\n20\r\nSubject: half")
	c.(*net.UnixConn).CloseWrite()
	text, _ := io.ReadAll(c)
	c.Close()
	if strings.Contains(string(text), `"ID":"0`) {
		t.Errorf("%s", text)
	}
}

// begin begins a message that does not end, and returns when the server has the envelope.
func begin(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "POST /mail HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q %v", line, err)
	}
	return c
}

// busy is the answer to one more message.
func busy(t *testing.T, path string) Answer {
	t.Helper()
	var body watchedReader
	body.in = strings.NewReader("2\n{}x")
	a, err := send(t.Context(), path, &body)
	if err != nil || a.Kind == Busy && body.begun {
		t.Fatalf("%+v %v, body read: %v", a, err, body.begun)
	}
	return a
}

// A message that does not end is given up at its deadline, however often an octet comes, and
// its place and memory are free again.
func TestTheTimeOfAMessageIsLimited(t *testing.T) {
	path, _ := startLimited(t, 300*time.Millisecond, func(m taken) (incoming.Result, error) {
		t.Errorf("%q was taken", m.text)
		return stored(m)
	})
	for _, slow := range []bool{false, true} {
		c := begin(t, path)
		fmt.Fprintf(c, "4\r\n2\n{}\r\n")
		over := make(chan struct{})
		go func() {
			for slow {
				select {
				case <-over:
					return
				case <-time.After(20 * time.Millisecond):
				}
				if _, err := io.WriteString(c, "1\r\nx\r\n"); err != nil {
					return
				}
			}
		}()
		text, _ := io.ReadAll(c) // until the server closes
		close(over)
		if !strings.Contains(string(text), `"Kind":"later"`) {
			t.Errorf("slow: %v: the answer is %q", slow, text)
		}
	}
}

// A user that submits many messages at once gets the answer Busy. A sendmail that waits gets
// its turn.
func TestMessagesOfAUserAreLimited(t *testing.T) {
	path, _ := start(t, stored)
	var open []net.Conn
	for range maxUserWork {
		open = append(open, begin(t, path))
	}
	if a := busy(t, path); a.Kind != Busy || !strings.Contains(a.Error, "too many") {
		t.Fatalf("%+v", a)
	}
	done := make(chan error, 1)
	go func() {
		a, err := Send(context.Background(), path, Envelope{}, strings.NewReader("x"))
		if err == nil && a.ID == "" {
			err = errors.New(a.Error)
		}
		done <- err
	}()
	open[0].Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A server that closes a connection without an answer is busy, whenever the close comes.
func TestAClosedConnectionIsThatOfABusyServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for range 1000 {
		if _, err := send(t.Context(), path, strings.NewReader("x")); !isBusy(err) {
			t.Fatal(err)
		}
	}
}

// Connections are limited for each user. One more is closed without an answer.
func TestConnectionsOfAUserAreLimited(t *testing.T) {
	path, _ := start(t, stored)
	var open []net.Conn
	for range maxPerUser {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%d %v", n, err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Send(context.Background(), path, Envelope{}, strings.NewReader("x"))
		done <- err
	}()
	for _, c := range open {
		c.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCounter(t *testing.T) {
	const first = 70_001 // no user of the system
	var c counter
	for i := range uint32(3) {
		for n := range 3 {
			if got, want := c.enter(first+i, 5, 2), n < 2 && i < 2 || i == 2 && n == 0; got != want {
				t.Errorf("user %d, %d: %v", i, n, got)
			}
		}
	}
	for _, i := range []uint32{0, 0, 1, 1, 2} {
		c.leave(first + i)
	}
	if c.all != 0 || len(c.byUser) != 0 {
		t.Errorf("%+v", &c)
	}
}

// Other users that have all places keep out neither root nor the server's user, and these
// keep out no other users.
func TestTheSystemHasPlacesOfItsOwn(t *testing.T) {
	const first, users, most, mostOfUser = 70_001, 4, 8, 3
	system := []uint32{0}
	if own := uint32(os.Geteuid()); own != 0 {
		system = append(system, own)
	}
	var c counter
	enterAll := func(uids []uint32) (entered int) {
		for _, uid := range uids {
			for range most {
				if c.enter(uid, most, mostOfUser) {
					entered++
				}
			}
		}
		return entered
	}
	var others []uint32
	for i := range uint32(users) {
		others = append(others, first+i)
	}
	for _, order := range [][2][]uint32{{others, system}, {system, others}} {
		want := map[bool]int{true: len(system) * mostOfUser, false: most}
		for _, uids := range order {
			if n := enterAll(uids); n != want[uids[0] == 0] {
				t.Errorf("users %v have %d places, want %d", uids, n, want[uids[0] == 0])
			}
		}
		for uid, n := range c.byUser {
			for range n {
				c.leave(uid)
			}
		}
		if c.all != 0 || len(c.byUser) != 0 {
			t.Errorf("%+v", &c)
		}
	}
}

// A server that is about to end says so: the client may use another way.
func TestEnding(t *testing.T) {
	path, _ := start(t, func(taken) (incoming.Result, error) {
		return incoming.Result{}, fmt.Errorf("%w: %w", storage.ErrTemporary, ErrEnding)
	})
	a, err := Send(t.Context(), path, Envelope{}, strings.NewReader("x"))
	if err != nil || a.Kind != Ending || a.ID != "" || !strings.Contains(a.Error, "about to end") {
		t.Errorf("%+v %v", a, err)
	}
}

// A message is not read if there is no memory for it, and is refused for now if it needs more
// than there is.
func TestMemoryIsBooked(t *testing.T) {
	path, r := start(t, stored)
	r.Reserve(r.all - baseRoom + 1)
	if a := busy(t, path); a.Kind != Busy || !strings.Contains(a.Error, "limits.memory") {
		t.Errorf("%+v", a)
	}
	r.Release(1 << 10)
	if a := busy(t, path); a.ID == "" {
		t.Errorf("%+v", a)
	}
	a, err := Send(t.Context(), path, Envelope{}, strings.NewReader(strings.Repeat("x", 2<<10)))
	if err != nil || a.Kind != Later {
		t.Errorf("%+v %v", a, err)
	}
	r.Release(r.all - baseRoom + 1 - 1<<10)
	if r.most < baseRoom {
		t.Errorf("%d octets were booked", r.most)
	}
}

// ErrNoServer means that nothing was sent.
func TestNoServer(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), stale, file, filepath.Join(dir, "no", "such")} {
		if a, err := Send(t.Context(), path, Envelope{}, strings.NewReader("x")); !errors.Is(err, ErrNoServer) {
			t.Errorf("%s: %+v %v", path, a, err)
		}
	}
	if _, err := Listen(file); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Error(err)
	}
	stop, err := serveAt(stale, &room{}, nil, maxTime)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := Listen(stale); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Error(err)
	}
}

// Listen makes the socket's directory, so that all users may enter it. If its parent is
// missing too, the error says what to do.
func TestTheDirectoryIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r := &room{}
	stop, err := serveAt(filepath.Join(dir, "mail.sock"), r, nil, maxTime)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if info, err := os.Stat(dir); err != nil || info.Mode() != os.ModeDir|0o755 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := Listen(filepath.Join(dir, "a/b/mail.sock")); err == nil || !strings.Contains(err.Error(), "server.mail_socket") {
		t.Error(err)
	}
}

// The path may be longer than a socket's address.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 90), strings.Repeat("e", 90))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "mail.sock")
	r := &room{left: 8 << 20, all: 8 << 20}
	stop, err := serveAt(path, r, func(_ context.Context, m incoming.Mail, _ func(int64) bool) (incoming.Result, error) {
		_, err := io.Copy(io.Discard, m.Text)
		return incoming.Result{Receipt: storage.NewReceipt(1)}, err
	}, maxTime)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if a, err := Send(t.Context(), path, Envelope{}, strings.NewReader("x")); err != nil || a.ID == "" {
		t.Errorf("%+v %v", a, err)
	}
}

// child runs as another user, and submits mail at the socket that $LOCALMAIL_SOCKET names, or
// listens at it.
func TestMain(m *testing.M) {
	path := os.Getenv("LOCALMAIL_SOCKET")
	if path == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("LOCALMAIL_LISTEN") != "" {
		l, err := net.Listen("unix", path)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("listens")
		for {
			if c, err := l.Accept(); err == nil {
				text, _ := io.ReadAll(c)
				fmt.Printf("got %q\n", text)
			}
		}
	}
	a, err := Send(context.Background(), path, Envelope{}, strings.NewReader("from a child"))
	fmt.Println(a.ID, a.Error, err)
}

// as starts this program as another user.
func as(t *testing.T, uid uint32, env ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(public(t), "child")
	text, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(program, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd
}

// public is a directory that all users may enter.
func public(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The Received field and the origin have the userid from the kernel.
func TestOtherUser(t *testing.T) {
	got := make(chan taken, 1)
	cmd := as(t, 61234)
	dir := public(t)
	path := filepath.Join(dir, "mail.sock")
	stop, err := serveAt(path, &room{left: 8 << 20, all: 8 << 20}, func(_ context.Context, m incoming.Mail, _ func(int64) bool) (incoming.Result, error) {
		text, err := io.ReadAll(m.Text)
		got <- taken{m, string(text)}
		return incoming.Result{Receipt: storage.NewReceipt(42)}, err
	}, maxTime)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	cmd.Env = append(cmd.Env, "LOCALMAIL_SOCKET="+path)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "000000000001A ") {
		t.Fatalf("%v %s", err, out)
	}
	m := <-got
	if m.text != "from a child" || m.m.Local != "userid 61234" || m.m.Sender != "nobody" || m.m.Origin != "userid 61234 by sendmail" {
		t.Errorf("%+v", m)
	}
}

// Send refuses another user's socket in a directory that all users may write to, and accepts
// it in that user's own directory.
func TestForgedSocket(t *testing.T) {
	for mode, forged := range map[os.FileMode]bool{0o777 | os.ModeSticky: true, 0o755: false} {
		cmd := as(t, 61234, "LOCALMAIL_LISTEN=1")
		dir := public(t)
		if err := errors.Join(os.Chown(dir, 61234, 61234), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "mail.sock")
		cmd.Env = append(cmd.Env, "LOCALMAIL_SOCKET="+path)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "listens\n" {
			t.Fatal(line, err)
		}
		c, err := unixsocket.Dial(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkServer(c, path); errors.Is(err, ErrForged) != forged {
			t.Errorf("%v: %v", mode, err)
		}
		c.Close()
		if forged {
			if _, err := Send(t.Context(), path, Envelope{}, strings.NewReader("secret")); !errors.Is(err, ErrForged) {
				t.Errorf("%v", err)
			}
		}
	}
}
