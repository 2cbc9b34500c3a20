package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/bench"
	"postrider/engine/edge/dns/dnstest"
)

// ran is what a command has printed, and how it ended.
type ran struct {
	out, err string
	status   int
}

func runs(t *testing.T, name string, args ...string) (r ran) {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.status = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	r.out, r.err = stdout.String(), stderr.String()
	return r
}

// unlike are the parts of the output of two servers that differ: times, sizes, reasons.
// Their lengths and places are the columns', which stay.
var unlike = []struct {
	form *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`(?m)^ID([*!]?) +`), "ID$1 "},
	{regexp.MustCompile(` +\d+ (Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d `), " SIZE TIME "},
	{regexp.MustCompile(`(?m)^ *\(.*\)$`), "(REASON)"},
	{regexp.MustCompile(`-- \d+ Kbytes`), "-- N Kbytes"},
	{regexp.MustCompile(`"arrival_time": \d+`), `"arrival_time": N`},
	{regexp.MustCompile(`"message_size": \d+`), `"message_size": N`},
	{regexp.MustCompile(`"delay_reason": "[^"]+"`), `"delay_reason": "REASON"`},
	{regexp.MustCompile(`[a-z]+/(./)?ID`), "QUEUE/ID"},
}

func (r ran) without(id string) ran {
	for _, text := range []*string{&r.out, &r.err} {
		*text = strings.ReplaceAll(*text, id, "ID")
		for _, u := range unlike {
			*text = u.form.ReplaceAllString(*text, u.to)
		}
	}
	return r
}

// queueTools are the queue commands of a server.
type queueTools struct {
	t    *testing.T
	dir  string   // that has them; "": they are on the PATH
	args []string // that lead to the server
	id   string   // the id of the message in the queue
}

func (q *queueTools) run(name string, args ...string) ran {
	q.t.Helper()
	return runs(q.t, filepath.Join(q.dir, name), append(slices.Clone(q.args), args...)...)
}

var listedID = regexp.MustCompile(`"queue_name": "deferred", "queue_id": "(\w+)"`)

// holdsOne waits for a message that has been tried, and takes its id.
func (q *queueTools) holdsOne() {
	q.t.Helper()
	eventually(q.t, "the message is deferred", func() bool {
		found := listedID.FindAllStringSubmatch(q.run("postqueue", "-j").out, -1)
		if len(found) == 1 {
			q.id = found[0][1]
		}
		return len(found) == 1
	})
}

// Under the names of Postfix's commands, with the same options, the program prints what
// they print, and ends as they do.
func TestNamesOfPostfix(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postqueue", "postsuper", "postcat", "qshape"} {
		need(t, name)
	}
	p := startPostfix(t, 9, "enable_long_queue_ids = yes")
	port, hosts := startPeers(t, "127.0.0.2")
	hosts[0].behave(manners{refuse: func(string, int, time.Duration) string { return "450 4.2.1 busy" }})
	s := startRelay(t, dnstest.Start(t, "busy.test. 300 IN A 127.0.0.2"), port, "retry = [\"1h\"]")
	theirs, ours := &queueTools{t: t, args: []string{"-c", p.dir}, id: "none"}, &queueTools{t: t, dir: t.TempDir(), args: []string{"--data", s.data}, id: "none"}
	for _, name := range []string{"postqueue", "postsuper", "postcat", "qshape"} {
		if err := os.Symlink(binary, filepath.Join(ours.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	same := func(name string, args ...string) {
		t.Helper()
		of := func(q *queueTools) ran {
			mine := slices.Clone(args)
			for i := range mine {
				mine[i] = strings.ReplaceAll(mine[i], "ID", q.id)
			}
			return q.run(name, mine...).without(q.id)
		}
		if got, want := of(ours), of(theirs); got != want {
			t.Errorf("%s %s:\n%+v\nPostfix:\n%+v", name, strings.Join(args, " "), got, want)
		}
	}
	send := func() {
		t.Helper()
		for _, addr := range []string{p.addr, s.smtp[0]} {
			c, err := bench.DialSMTP(addr)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := c.Deliver("writer@sender.test", []string{"a@busy.test", "b@busy.test"}, []byte("Subject: hi\r\nX-Long: a\r\n b\r\n\r\nbody: one\r\n..dot\r\n"))
			c.Close()
			if err != nil || reply.Code != 250 {
				t.Fatalf("%s: %v %v", addr, reply, err)
			}
		}
		theirs.holdsOne()
		ours.holdsOne()
	}

	same("postqueue", "-p")
	same("postqueue", "-j")
	same("qshape", "deferred")
	send()
	same("postqueue", "-p")
	same("postqueue", "-j")
	same("qshape", "deferred")
	same("qshape", "-s", "deferred", "active")
	same("qshape", "-b", "4", "incoming", "active", "deferred", "hold")
	same("postcat", "-bq", "ID")
	for _, options := range []string{"-q", "-eq", "-beq"} { // records of the envelope have other names and numbers
		parts := func(q *queueTools) (lines []string) {
			for line := range strings.Lines(q.run("postcat", options, q.id).without(q.id).out) {
				if !strings.Contains(line, ":") || strings.HasPrefix(line, "body") || strings.HasPrefix(line, "sender") || strings.HasPrefix(line, "recipient") {
					lines = append(lines, line)
				}
			}
			return slices.DeleteFunc(lines, func(line string) bool {
				return line == " b\n" || strings.HasPrefix(line, "\t") || strings.HasPrefix(line, " ")
			})
		}
		if got, want := parts(ours), parts(theirs); !slices.Equal(got, want) {
			t.Errorf("postcat %s: %q\nPostfix: %q", options, got, want)
		}
	}
	same("postsuper", "-h", "ID")
	same("postsuper", "-h", "ID")
	same("postqueue", "-p")
	same("postqueue", "-j")
	same("qshape", "hold")
	same("postsuper", "-d", "ALL", "deferred")
	same("postsuper", "-d", "frob!")
	same("postsuper", "-H", "ID", "deferred")
	same("postsuper", "-H", "ID")
	same("postsuper", "-d", "ID")
	same("postsuper", "-d", "ID")
	same("postqueue", "-p")
	send()
	same("postsuper", "-h", "ALL")
	same("postsuper", "-H", "ALL", "-r", "ALL", "hold")
	same("postsuper", "-d", "ALL")
	send()
	same("postsuper", "-e", "ID", "hold")
	same("postsuper", "-f", "ID", "deferred")
	theirs.run("postsuper", "-d", "ALL")
	ours.run("postsuper", "-d", "ALL")
	send()
	same("postsuper", "-h", "ID")
	same("postsuper", "-f", "ID")
	for _, wrong := range [][]string{{}, {"-p", "-f"}, {"-x"}} {
		if got, want := ours.run("postqueue", wrong...), theirs.run("postqueue", wrong...); got.status == 0 || want.status == 0 {
			t.Errorf("postqueue %v: exit code %d, Postfix: %d", wrong, got.status, want.status)
		}
	}
}
