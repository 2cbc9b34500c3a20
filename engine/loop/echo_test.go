package loop

import (
	"io"
	"net"
	"testing"
)

// echo sends back what comes, and closes when the peer does.
type echo struct{}

func (echo) Input(c *Conn, in []byte) int { c.Write(in); return len(in) }
func (echo) Drained(*Conn)                {}
func (echo) EOF(c *Conn)                  { c.Close() }
func (echo) Timeout(*Conn)                {}
func (echo) Closed(*Conn, error)          {}

func TestEcho(t *testing.T) {
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Stop()
	lis, err := g.Listen("127.0.0.1:0", nil, func(*Conn) Handler { return echo{} })
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
}
