package tlsio_test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/engine/edge/certs"
	"postrider/engine/edge/loop"
	"postrider/engine/edge/tlsio"
)

const hang = 20 * time.Second

// echo is a server on event loops that sends back what comes through TLS: the
// smallest user of this package.
type echo struct {
	handshaker *tlsio.Handshaker
	cfg        *tls.Config
	scratch    tlsio.Scratch // there is one loop
	ended      chan error
}

// shaking is the handler of a connection before its session.
type shaking struct {
	of   *echo
	conn *loop.Conn
	hs   *tlsio.Handshake
	busy bool
}

func (h *shaking) Input(c *loop.Conn, in []byte) int {
	h.busy = true
	c.Pause()
	if h.hs != nil {
		h.hs.Feed(bytes.Clone(in))
		return len(in)
	}
	h.hs = h.of.handshaker.Start(h.of.cfg, bytes.Clone(in), &h.of.scratch, func() { c.Loop().Post(h) })
	return len(in)
}

func (h *shaking) Run() {
	h.busy = false
	if !h.conn.Alive() {
		h.hs.Abort()
		return
	}
	h.conn.Write(h.hs.Output())
	h.conn.Resume()
	if !h.hs.Done() {
		return
	}
	session, err := h.hs.Session()
	if err != nil {
		h.conn.Close()
		return
	}
	h.conn.SetHandler(speaking{h.of})
	h.conn.SetLayer(session)
}

func (h *shaking) Drained(*loop.Conn)   {}
func (h *shaking) EOF(c *loop.Conn)     { c.Abort() }
func (h *shaking) Timeout(c *loop.Conn) { c.Abort() }
func (h *shaking) Closed(_ *loop.Conn, err error) {
	if h.hs != nil && !h.busy {
		h.hs.Abort()
	}
	h.of.ended <- err
}

// speaking is the handler of a session.
type speaking struct{ of *echo }

func (s speaking) Input(c *loop.Conn, in []byte) int { c.Write(in); return len(in) }
func (s speaking) Drained(*loop.Conn)                {}
func (s speaking) EOF(c *loop.Conn)                  { c.Close() }
func (s speaking) Timeout(c *loop.Conn)              { c.Abort() }
func (s speaking) Closed(_ *loop.Conn, err error)    { s.of.ended <- err }

func start(t *testing.T, policy tlsio.Policy) (*echo, string) {
	t.Helper()
	file, err := certs.SelfSigned(filepath.Join(t.TempDir(), "x.pem"), []string{"mx.test"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certs := new(tlsio.CertStore)
	if err := certs.Load([]tlsio.CertFile{file}); err != nil {
		t.Fatal(err)
	}
	e := &echo{handshaker: tlsio.NewHandshaker(1, 100), cfg: policy.Config(certs), ended: make(chan error, 100)}
	g, err := loop.New(loop.Config{Loops: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	lis, err := g.Listen("127.0.0.1:0", nil, func(c *loop.Conn) loop.Handler { return &shaking{of: e, conn: c} })
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	return e, lis.Addr().String()
}

// openssl runs s_client with these lines as its input, each when the line before it
// has come back, and returns all that it printed.
func openssl(t *testing.T, addr string, lines []string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl here")
	}
	cmd := exec.Command(program, append([]string{"s_client", "-connect", addr}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	printed, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(hang, func() {
		t.Error("openssl hangs")
		_ = cmd.Process.Kill()
	})
	defer guard.Stop()
	p := make([]byte, 4096)
	await := func(from int, word string) {
		for !strings.Contains(out.String()[from:], word) {
			n, err := printed.Read(p)
			out.Write(p[:n])
			if err != nil {
				return
			}
		}
	}
	await(0, "Verify return code")
	// s_client takes a letter for an order if it comes alone.
	orders := map[string]string{"K": "KEYUPDATE", "k": "KEYUPDATE", "R": "RENEGOTIATING"}
	for _, l := range lines {
		from := out.Len()
		_, _ = io.WriteString(in, l+"\n")
		await(from, cmp.Or(orders[l], l))
	}
	_ = in.Close()
	rest, _ := io.ReadAll(printed)
	out.Write(rest)
	_ = cmd.Wait()
	return out.String()
}

func TestOpenSSL(t *testing.T) {
	e, addr := start(t, tlsio.Policy{MinVersion: tls.VersionTLS12, Tickets: true})
	for name, args := range map[string][]string{
		"TLS 1.2":         {"-tls1_2"},
		"TLS 1.3":         {"-tls1_3"},
		"no SNI":          {"-noservername"},
		"another's SNI":   {"-servername", "somebody.else"},
		"AES-256, 1.2":    {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"},
		"ChaCha20":        {"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"},
		"AES-256, P-384":  {"-ciphersuites", "TLS_AES_256_GCM_SHA384", "-curves", "P-384"},
		"small fragments": {"-max_send_frag", "512", "-split_send_frag", "512"},
	} {
		t.Run(name, func(t *testing.T) {
			out := openssl(t, addr, []string{"the first line", "the second line"}, args...)
			if !strings.Contains(out, "the second line") || !strings.Contains(out, "Cipher    :") && !strings.Contains(out, "Cipher is ") {
				t.Errorf("openssl printed\n%s", out)
			}
			<-e.ended
		})
	}
	t.Run("new keys", func(t *testing.T) {
		out := openssl(t, addr, []string{"before", "K", "between", "k", "behind"}, "-tls1_3")
		if !strings.Contains(out, "\nbehind") {
			t.Errorf("openssl printed\n%s", out)
		}
		if err := <-e.ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("renegotiation is refused", func(t *testing.T) {
		openssl(t, addr, []string{"before", "R"}, "-tls1_2")
		if err := <-e.ended; err == nil {
			t.Error("the session went on")
		}
	})
	t.Run("TLS 1.1 is refused", func(t *testing.T) {
		out := openssl(t, addr, nil, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
		if !strings.Contains(out, "alert protocol version") {
			t.Errorf("openssl printed\n%s", out)
		}
		<-e.ended
	})
}

// What a client sends right after its last word of the handshake is not lost.
func TestDataAfterTheHandshake(t *testing.T) {
	_, addr := start(t, tlsio.Policy{MinVersion: tls.VersionTLS12})
	for i := range 50 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(hang))
		held := &holding{Conn: c}
		client := tls.Client(held, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}) //nolint:gosec // a test
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat(fmt.Sprint("line ", i, "\r\n"), 1+i*i)
		held.hold = false
		if _, err := io.WriteString(client, text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(client, got); err != nil || string(got) != text {
			t.Fatalf("%d octets came back, %v", len(got), err)
		}
		_ = client.Close()
	}
}

// holding is a connection that sends the last flight of a handshake, TLS 1.3's,
// together with what follows it.
type holding struct {
	net.Conn
	hold  bool
	wrote int
	held  []byte
}

func (h *holding) Write(p []byte) (int, error) {
	h.wrote++
	if h.wrote == 1 {
		h.hold = true
		return h.Conn.Write(p)
	}
	if h.hold {
		h.held = append(h.held, p...)
		return len(p), nil
	}
	_, err := h.Conn.Write(append(h.held, p...))
	h.held = nil
	return len(p), err
}
