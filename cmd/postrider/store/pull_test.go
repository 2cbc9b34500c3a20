package store

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
)

// otherServer is a POP3 server with messages: their unique-ids, and "" for one that it has
// lost. It counts what was fetched.
func otherServer(t *testing.T, uidls []string, lost map[int]bool) (addr string, fetched func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serveOther(c, uidls, lost, got)
		}
	}()
	return l.Addr().String(), func() string {
		all := ""
		for {
			select {
			case n := <-got:
				all += n
			default:
				return all
			}
		}
	}
}

func serveOther(c net.Conn, uidls []string, lost map[int]bool, got chan<- string) {
	defer c.Close()
	fmt.Fprint(c, "+OK\r\n")
	in := bufio.NewScanner(c)
	for in.Scan() {
		verb, number, _ := strings.Cut(in.Text(), " ")
		n := 0
		_, _ = fmt.Sscan(number, &n)
		switch {
		case verb == "CAPA":
			fmt.Fprint(c, "-ERR\r\n")
		case verb == "LIST" || verb == "UIDL":
			fmt.Fprint(c, "+OK\r\n")
			for i, uidl := range uidls {
				if verb == "LIST" {
					uidl = "60"
				}
				if uidl != "" {
					fmt.Fprintf(c, "%d %s\r\n", i+1, uidl)
				}
			}
			fmt.Fprint(c, ".\r\n")
		case verb == "RETR" && lost[n]:
			fmt.Fprint(c, "-ERR it is gone\r\n")
		case verb == "RETR":
			got <- number
			fmt.Fprintf(c, "+OK\r\nReceived: by x; Tue, 6 Feb 2024 07:08:09 +0000\r\nSubject: m%d\r\n\r\n..dot\r\n.\r\n", n)
		default:
			fmt.Fprint(c, "+OK\r\n")
			if verb == "QUIT" {
				return
			}
		}
	}
}

// What an account does not have is fetched, with its unique-ids and in its order, and stays
// where it is; a message that the other server does not give stops nothing.
func TestPull(t *testing.T) {
	importing(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add alice --password-stdin")
		pull := func(addr string) string {
			return "pull alice --from " + addr + " --security none --user a --password-stdin "
		}
		addr, fetched := otherServer(t, []string{"u1", "u2", "u3"}, map[int]bool{2: true})
		s.Want(sysexits.DataErr, "x\n", pull(addr), "alice@a.example: 2 messages", "did not give 1 messages", "it is gone")
		addr, again := otherServer(t, []string{"u1", "u2", "u3", "u4"}, nil)
		s.Want(0, "x\n", pull(addr), "alice@a.example: 2 messages", "2 messages were here before")
		if one, two := fetched(), again(); one != "13" || two != "24" {
			t.Errorf("messages %q and then %q were fetched", one, two)
		}
		addr, again = otherServer(t, []string{"u1", "", "a b"}, nil)
		s.Want(sysexits.DataErr, "x\n", pull(addr), "no valid unique-id for 2 of 3 messages")
		s.Want(0, "x\n", pull(addr)+"--without-uidl", "alice@a.example: 2 messages", "1 messages were here before")
		if got := again(); got != "23" {
			t.Errorf("messages %q were fetched", got)
		}
		out := filepath.Join(s.Dir, "out")
		s.Want(0, "", "export alice --format maildir --out "+out, "6 messages")
		list := read(t, filepath.Join(out, "alice.maildir", "dovecot-uidlist"))
		for i, want := range []string{"1 Pu1 :", "2 Pu3 :", "3 Pu2 :", "4 Pu4 :"} {
			if lines := strings.Split(list, "\n"); !strings.HasPrefix(lines[i+1], want+"1707203289.") {
				t.Errorf("line %d of the list is %q, want %q", i+1, lines[i+1], want)
			}
		}
		s.Want(0, "", "check", "6 messages", ": 0 faults")
	})
}
