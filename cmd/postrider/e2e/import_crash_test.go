package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// grove makes Maildirs of accounts, with messages that are told apart by their subjects.
func grove(t *testing.T, accounts []string, messages int) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, name := range accounts {
		box := filepath.Join(root, "localhost", name)
		for _, dir := range []string{"new", "cur", "tmp"} {
			if err := os.MkdirAll(filepath.Join(box, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		list := fmt.Sprintf("3 V1700000000 N%d\n", messages)
		for i := range messages {
			file := fmt.Sprintf("cur/%d.M%dP1.host:2,S", 1700000000+i, i)
			body := fmt.Sprintf("Subject: %s-%d\n\n%s\n", name, i, strings.Repeat("text of a message\n", 1+i*37%4000))
			if err := os.WriteFile(filepath.Join(box, file), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			switch { // the last ones are in no list yet; the first ones share a unique-id
			case i < 3:
				list += fmt.Sprintf("%d Pshared :%s\n", i+1, filepath.Base(file))
			case i < messages-5:
				list += fmt.Sprintf("%d :%s\n", i+1, filepath.Base(file))
			}
		}
		if err := os.WriteFile(filepath.Join(box, "dovecot-uidlist"), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var subjects = regexp.MustCompile(`(?m)^Subject: (\S+)`)

// import-tree is killed (kill -9) again and again, with the store to itself and at a server
// that goes on; then two run at once. Each message is there once.
func TestImportTreeKillDashNine(t *testing.T) {
	heavy(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	accounts := []string{"user1", "user2", "user3", "user4"}
	const messages = 150
	for _, serving := range []bool{false, true} {
		s := newServer(t, accounts...)
		if serving {
			s.start()
		}
		root, journals := grove(t, accounts, messages), t.TempDir()
		importing := func(journal string) *exec.Cmd {
			return exec.Command(binary, "import-tree", root, "--pattern", "%d/%n", "--parallel", "2",
				"--journal", filepath.Join(journals, journal), "--data", s.data)
		}
		killed := 0
		for round := 0; ; round++ {
			cmd := importing("journal")
			var out tail
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			var err error
			over := true
			select {
			case err = <-ended:
			case <-time.After(time.Duration(10+random.IntN(80)*(round+1)) * time.Millisecond):
				over = false
				_ = cmd.Process.Kill()
				err = <-ended
			}
			if over || err == nil {
				if err != nil {
					t.Fatalf("seed %d: import-tree: %v\n%s", seed, err, &out)
				}
				break
			}
			killed++
		}
		two := make(chan error, 2)
		for _, journal := range []string{"another", "third"} {
			go func() {
				out, err := importing(journal).CombinedOutput()
				if err != nil {
					err = errors.Join(err, errors.New(string(out)))
				}
				two <- err
			}()
		}
		for range 2 {
			// Without a server one of them may find the store in use for too long.
			if err := <-two; err != nil && serving {
				t.Errorf("seed %d: two at once: %v", seed, err)
			}
		}
		out := filepath.Join(t.TempDir(), "out")
		s.run("export", "--all", "--format", "mbox", "--out", out)
		times := make(map[string]int)
		files, _ := filepath.Glob(filepath.Join(out, "*"))
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range subjects.FindAllSubmatch(b, -1) {
				times[string(m[1])]++
			}
		}
		for _, name := range accounts {
			for i := range messages {
				if n := times[fmt.Sprintf("%s-%d", name, i)]; n != 1 {
					t.Errorf("seed %d, serving %v: message %d of %s is there %d times", seed, serving, i, name, n)
				}
			}
		}
		s.check()
		t.Logf("serving %v: killed %d times; %d messages, all there once", serving, killed, len(times))
		if serving {
			s.terminate()
		}
	}
}
