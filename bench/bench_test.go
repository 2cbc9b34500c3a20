package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is the smallest server that a load can run against: it knows one
// recipient, keeps what it is sent, and hands it out by POP3.
type fake struct {
	smtp, pop3 string

	mu   sync.Mutex // guards mail
	mail [][]byte   // in wire form
}

func newFake(t *testing.T) *fake {
	f := &fake{}
	f.smtp = f.listen(t, f.serveSMTP)
	f.pop3 = f.listen(t, f.servePOP3)
	return f
}

func (f *fake) listen(t *testing.T, serve func(*bufio.Reader, net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(bufio.NewReader(conn), conn)
			}()
		}
	}()
	return ln.Addr().String()
}

func (f *fake) serveSMTP(r *bufio.Reader, w net.Conn) {
	fmt.Fprint(w, "220 fake\r\n")
	known := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := line[:4]; {
		case verb == "EHLO":
			fmt.Fprint(w, "250-fake\r\n250 PIPELINING\r\n")
		case verb == "RCPT" && !strings.Contains(line, "<known@"):
			fmt.Fprint(w, "550 no such user\r\n")
		case verb == "DATA" && !known:
			fmt.Fprint(w, "503 no recipient\r\n")
		case verb == "DATA":
			fmt.Fprint(w, "354 go on\r\n")
			var wire []byte
			for !bytes.HasSuffix(wire, []byte("\r\n.\r\n")) {
				line, err := r.ReadBytes('\n')
				if err != nil {
					return
				}
				wire = append(wire, line...)
			}
			f.mu.Lock()
			f.mail = append(f.mail, wire)
			f.mu.Unlock()
			fmt.Fprint(w, "250 kept\r\n")
			known = false
		case verb == "QUIT":
			fmt.Fprint(w, "221 bye\r\n")
			return
		default:
			known = verb == "RCPT" || known && verb != "RSET" && verb != "MAIL"
			fmt.Fprint(w, "250 ok\r\n")
		}
	}
}

func (f *fake) servePOP3(r *bufio.Reader, w net.Conn) {
	fmt.Fprint(w, "+OK fake\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		var number int
		fmt.Sscanf(line[4:], "%d", &number)
		switch line[:4] {
		case "LIST":
			fmt.Fprint(w, "+OK\r\n")
			for i, wire := range f.mail {
				plain := bytes.ReplaceAll(append([]byte("\r\n"), wire...), []byte("\r\n."), []byte("\r\n"))
				fmt.Fprintf(w, "%d %d\r\n", i+1, len(plain)-4)
			}
			fmt.Fprint(w, ".\r\n")
		case "RETR":
			fmt.Fprintf(w, "+OK\r\n%s", f.mail[number-1])
		case "QUIT":
			fmt.Fprint(w, "+OK\r\n")
			return
		default:
			fmt.Fprint(w, "+OK\r\n")
		}
	}
}

// Every message of a load is accepted once, in both modes, with one connection
// or many, and the reader finds all of them whole.
func TestLoadAndFetch(t *testing.T) {
	for _, mode := range []Mode{Step, Pipelined} {
		for _, perConnection := range []int{0, 1, 7} {
			f := newFake(t)
			var mu sync.Mutex
			accepted := make(map[int]bool)
			load := Load{
				Addr: f.smtp, Sessions: 4, Messages: 50, PerConnection: perConnection, Mode: mode, From: "a@b.example",
				To:   func(int) []string { return []string{"known@localhost"} },
				Wire: func(n int) []byte { return Message(n, 1000) },
				Accepted: func(n int, _ Reply) {
					mu.Lock()
					accepted[n] = true
					mu.Unlock()
				},
			}
			report, err := load.Run(context.Background())
			if err != nil || report.Messages != 50 || len(accepted) != 50 || report.Stages["message"].Count != 50 {
				t.Fatalf("mode %v, %d per connection: %v (%v), %d on the ledger", mode, perConnection, report, err, len(accepted))
			}
			fetch := Fetch{Addr: f.pop3, User: "u", Password: "p", Mode: mode, Window: 8, Delete: true, Each: func(_ int, m []byte) error {
				n, err := CheckMessage(m)
				delete(accepted, n)
				return err
			}}
			if report, err = fetch.Run(context.Background()); err != nil || report.Messages != 50 || len(accepted) > 0 {
				t.Fatalf("mode %v: fetched %v (%v), %d missing", mode, report, err, len(accepted))
			}
		}
	}
}

// A refused recipient is counted, its message isn't, and the session goes on.
func TestLoad_Refused(t *testing.T) {
	for _, mode := range []Mode{Step, Pipelined} {
		f := newFake(t)
		load := Load{
			Addr: f.smtp, Sessions: 1, Messages: 9, Mode: mode, From: "a@b.example",
			To:   func(n int) []string { return []string{[]string{"known", "unknown", "known"}[n%3] + "@localhost"} },
			Wire: func(n int) []byte { return Message(n, 1000) },
		}
		report, err := load.Run(context.Background())
		if err != nil || report.Messages != 6 || report.Refused["550 no such user"] != 3 || len(f.mail) != 6 {
			t.Errorf("mode %v: %v (%v), the server has %d", mode, report, err, len(f.mail))
		}
	}
}

func TestStuff(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := string(Stuff([]byte(in))); got != want {
			t.Errorf("Stuff(%q) = %q, want %q", in, got, want)
		}
	}
	f("a\r\n", "a\r\n")
	f("a", "a\r\n")
	f("", "\r\n")
	f(".\r\n", "..\r\n")
	f("a\r\n.b\r\n..\r\nc.\r\n", "a\r\n..b\r\n...\r\nc.\r\n")
}

func TestCheckMessage(t *testing.T) {
	for _, wire := range [][]byte{Message(4711, 4096), Noise(4711, 4096)} {
		message := append([]byte("Return-Path: <>\r\nReceived: from x\r\n\tby y\r\n"), wire...)
		if n, err := CheckMessage(message); n != 4711 || err != nil {
			t.Errorf("CheckMessage = %d, %v", n, err)
		}
		if _, err := CheckMessage(message[:len(message)-3]); err == nil {
			t.Error("a message without its end passes for whole")
		}
		if size := len(wire); size < 4096-200 || size > 4096+200 {
			t.Errorf("a message of 4096 octets has %d", size)
		}
	}
}

func TestQuantile(t *testing.T) {
	var l Latencies
	if l.Quantile(0.5) != 0 {
		t.Error("no samples have a median")
	}
	for i := range 100 {
		l = append(l, time.Duration(100-i))
	}
	f := func(q float64, want time.Duration) {
		t.Helper()
		if got := l.Quantile(q); got != want {
			t.Errorf("Quantile(%v) = %d, want %d", q, got, want)
		}
	}
	f(0, 1)
	f(0.5, 51)
	f(0.99, 100)
	f(1, 100)
}

// The cost of a process is as the kernel reports it for this one.
func TestReadUsage(t *testing.T) {
	u, err := ReadUsage(1 << 30)
	if err == nil {
		t.Errorf("a process that isn't there has used %v", u)
	}
	u, err = ReadUsage(os.Getpid())
	if err != nil || u.RSS < 1<<20 || u.PeakRSS < u.RSS {
		t.Errorf("this process: %+v (%v)", u, err)
	}
}
