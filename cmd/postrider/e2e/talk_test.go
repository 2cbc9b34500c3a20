package e2e

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// talk is a dialogue through openssl s_client.
type talk struct {
	t      *testing.T
	in     io.WriteCloser
	out    *bufio.Reader
	errors *bytes.Buffer // what openssl prints; complete after end
	done   chan error
}

// openssl starts s_client. The server's certificate must be good for mx.localhost,
// and what openssl itself prints goes elsewhere than what the server sends.
func openssl(t *testing.T, protocol, host, port string, m mode, a *authority, args ...string) *talk {
	t.Helper()
	args = append([]string{"s_client", "-connect", host + ":" + port, "-CAfile", a.file, "-verify_return_error",
		"-verify_hostname", "mx.localhost", "-servername", "mx.localhost", "-crlf", "-quiet"}, args...)
	if m == upgraded {
		args = append(args, "-starttls", protocol)
	}
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	k := &talk{t: t, errors: new(bytes.Buffer), done: make(chan error, 1)}
	cmd.Stderr = k.errors
	// A dialogue that hangs shall end, and with it the test.
	cmd.WaitDelay = patience
	var err error
	if k.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, into := io.Pipe()
	cmd.Stdout, k.out = into, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		hung.Stop()
		cmd.Process.Kill()
	})
	go func() {
		k.done <- cmd.Wait()
		into.Close()
	}()
	return k
}

// line reads one line of the server; nothing when there is none any more.
func (k *talk) line() string {
	line, err := k.out.ReadString('\n')
	if err != nil && err != io.EOF {
		k.t.Error(err)
	}
	return strings.TrimRight(line, "\r\n")
}

// say sends a line, reads a reply and wants it to begin with want. It returns the
// last line of the reply.
func (k *talk) say(line, want string) string {
	k.t.Helper()
	if _, err := io.WriteString(k.in, line+"\n"); err != nil {
		k.t.Fatalf("%s: %v", line, err)
	}
	return k.expect(line, want)
}

func (k *talk) expect(line, want string) string {
	k.t.Helper()
	for {
		got := k.line()
		if len(got) > 3 && got[3] == '-' && got[0] != '-' && got[0] != '+' {
			continue
		}
		if !strings.HasPrefix(got, want) {
			k.t.Fatalf("%q got %q, want %s", line, got, want)
		}
		return got
	}
}

// end waits for s_client to end, as it does when the server hangs up.
func (k *talk) end() error {
	io.Copy(io.Discard, k.out)
	return <-k.done
}
