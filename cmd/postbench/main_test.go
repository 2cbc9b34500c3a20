package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/bench"
	"postrider/bench/sink"
	"postrider/cmd/sysexits"
)

// postbench runs a command line and returns what it printed and its exit code.
func postbench(t *testing.T, args ...string) (string, sysexits.Code) {
	t.Helper()
	var out bytes.Buffer
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	if err := root.ExecuteContext(t.Context()); err != nil {
		return out.String() + err.Error(), codeOf(err)
	}
	return out.String(), 0
}

// receiver is a sink that keeps what comes.
type receiver struct {
	addr string
	mu   sync.Mutex // guards came
	came []sink.Arrival
}

func receive(t *testing.T, o sink.Options) *receiver {
	t.Helper()
	r := &receiver{}
	o.Keep = 1 << 20
	o.Arrived = func(a sink.Arrival) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.came = append(r.came, a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := sink.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	over := make(chan error, 1)
	go func() { over <- sink.New(o).Serve(ctx, ln, 1) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return r
}

// arrivals are what came. Sockets order it, but the race detector doesn't see them.
func (r *receiver) arrivals() []sink.Arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.came)
}

// recipients lists the recipients of the mail that came, sorted.
func (r *receiver) recipients() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.came {
		all = append(all, a.To...)
	}
	slices.Sort(all)
	return all
}

// The flags of smtp-source mean what its manual says.
func TestSMTPSource(t *testing.T) {
	f := func(args, want string, check func(r *receiver) bool) {
		t.Helper()
		r := receive(t, sink.Options{})
		out, code := postbench(t, append(strings.Fields("smtp-source "+args), "inet:"+r.addr)...)
		if got := strings.Join(r.recipients(), " "); code != 0 || got != want {
			t.Errorf("%s: mail for %q, want %q (exit %d)\n%s", args, got, want, code, out)
		}
		if check != nil && !check(r) {
			t.Errorf("%s: %+v", args, r.came)
		}
	}
	f("-t a@b.example", "a@b.example", nil)
	f("-m 3 -s 2 -t a@b.example -d", "a@b.example a@b.example a@b.example", nil)
	f("-N -m 3 -t a@b.example", "0a@b.example 1a@b.example 2a@b.example", nil)
	f("-r 2 -t a@b.example", "0a@b.example 1a@b.example", nil)
	f("-N -r 2 -m 2 -t a@b.example", "0a@b.example 1a@b.example 2a@b.example 3a@b.example", nil)
	f("-c -v -l 100 -f me@c.example -S hello -M my.example -t a@b.example", "a@b.example", func(r *receiver) bool {
		_, body, _ := bytes.Cut(r.came[0].Message, []byte("\r\n\r\n"))
		return r.came[0].From == "me@c.example" && len(body) == 100 && bytes.Contains(r.came[0].Message, []byte("Subject: hello\r\n"))
	})
	file := filepath.Join(t.TempDir(), "mail")
	if err := os.WriteFile(file, []byte("Subject: x\n\n.dot\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f("-t a@b.example -F "+file, "a@b.example", func(r *receiver) bool {
		return string(r.came[0].Message) == "Subject: x\r\n\r\n..dot\r\n"
	})
	f("-4 -T 4096 -C 3 -t a@b.example", "a@b.example", nil)
	for _, pause := range []string{"-w 1 -d", "-w 1"} {
		f(pause+" -m 2 -t a@b.example", "a@b.example a@b.example", func(r *receiver) bool {
			return r.came[1].Time.Sub(r.came[0].Time) >= time.Second
		})
	}
	for _, args := range []string{"-L", "-o", "-R 0", "-w -1", "-w 1 -R 1", "-T 0", "-C 0", "-4 -6"} {
		if out, code := postbench(t, append(strings.Fields("smtp-source "+args), "127.0.0.1:1")...); code != sysexits.Usage {
			t.Errorf("%s: exit %d\n%s", args, code, out)
		}
	}
	if out, code := postbench(t, "smtp-source", "-6", "127.0.0.1:1"); code == 0 || !strings.Contains(out, "no suitable address") {
		t.Errorf("-6 to an address of IPv4: exit %d\n%s", code, out)
	}
	whole := true // seconds
	for range 100 {
		wait := smtpSource{random: 2}.pause()()
		whole = whole && wait%time.Second == 0 && wait >= 0 && wait <= 2*time.Second
	}
	if !whole {
		t.Error("-R 2 waits for what isn't 0, 1 or 2 seconds")
	}
}

// One connection for each message unless -d, as with smtp-source; all in one unless
// told otherwise with smtp.
func TestSMTP_Connections(t *testing.T) {
	f := func(args string, want int64) {
		t.Helper()
		s := sink.New(sink.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		ln, err := sink.Listen(ctx, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() { over <- s.Serve(ctx, ln, 1) }()
		out, code := postbench(t, append(strings.Fields(args), ln.Addr().String())...)
		cancel()
		if err := <-over; err != nil || code != 0 || s.Counts().Sessions != want || s.Counts().Messages != 6 {
			t.Errorf("%s: exit %d, %+v (%v)\n%s", args, code, s.Counts(), err, out)
		}
	}
	f("smtp-source -m 6 -t a@b.example", 6)
	f("smtp-source -m 6 -d -t a@b.example", 1)
	f("smtp -m 6 -s 1", 1)
	f("smtp -m 6 -s 1 --new-connection", 6)
	f("smtp -m 6 -s 1 --per-connection 4 --pipelined", 2)
}

// Patterns, lists and several recipients a message.
func TestSMTP_Recipients(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		r := receive(t, sink.Options{})
		out, code := postbench(t, append(append([]string{"smtp", "-s", "1"}, args...), r.addr)...)
		if got := strings.Join(r.recipients(), " "); code != 0 || got != want {
			t.Errorf("%v: mail for %q, want %q (exit %d)\n%s", args, got, want, code, out)
		}
	}
	f("u0@v.example u1@v.example u2@v.example", "-m", "3", "-t", "u%d@v.example", "--users", "5")
	f("a@v.example a@v.example b@v.example", "-m", "3", "-t", "a@v.example,b@v.example")
	f("u0@v.example u1@v.example u2@v.example u3@v.example", "-m", "2", "-r", "2", "-t", "u%d@v.example", "--users", "4")
	file := filepath.Join(t.TempDir(), "to")
	if err := os.WriteFile(file, []byte("x@v.example\n\ny@v.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f("x@v.example y@v.example", "-m", "2", "--to-file", file)
}

// A refused message is reported and exit code 1; a server that isn't there is 69; a
// wrong command line is 64.
func TestExitCodes(t *testing.T) {
	r := receive(t, sink.Options{})
	f := func(want sysexits.Code, text string, args ...string) {
		t.Helper()
		if out, code := postbench(t, args...); code != want || !strings.Contains(out, text) {
			t.Errorf("%v: exit %d, want %d with %q\n%s", args, code, want, text, out)
		}
	}
	f(0, "2 messages in", "smtp", "-m", "2", r.addr)
	f(exFailed, "451 4.3.0", "smtp", "-m", "2", "-t", "tempfail-rcpt-first1@v.example", r.addr)
	f(sysexits.Unavailable, "refused", "smtp", "-m", "2", "127.0.0.1:1")
	f(sysexits.Usage, "expected 1 arguments, got 0", "smtp")
	f(sysexits.Usage, "lognormal:4k,2", "smtp", "--size", "normal:4k", r.addr)
	f(sysexits.Usage, "--rate", "smtp", "--rate", "fast", r.addr)
	f(sysexits.Usage, "unknown command", "nonsense")
	f(sysexits.Usage, "expected one of stat, list and uidl", "pop3", "--profile", "retr", r.addr)
	f(sysexits.Usage, "in the profile", "pop3", "--profile", "stat,dele", "--delete", r.addr)
	f(sysexits.Usage, "tempfail-rcpt-after100", "sink", "--fault", "x", "127.0.0.1:0")
	f(sysexits.NoInput, "no such file", "verify", "--verify", "127.0.0.1:1", "/nowhere/ledger")
	f(sysexits.NoInput, "no such file", "compare", "/nowhere/a", "/nowhere/b")
}

// Rounds, the JSON file, and compare of a file with itself.
func TestResultsAndCompare(t *testing.T) {
	r := receive(t, sink.Options{})
	dir := t.TempDir()
	file := filepath.Join(dir, "a.json")
	if out, code := postbench(t, "smtp", "-m", "20", "--rounds", "3", "--json", file, "--html", filepath.Join(dir, "a.html"), "--stages", r.addr); code != 0 || !strings.Contains(out, "dot ") {
		t.Fatalf("exit %d\n%s", code, out)
	}
	result, err := bench.ReadResult(file)
	if err != nil || len(result.Rounds) != 3 || result.Rounds[2].Messages != 20 || result.Rounds[0].Stages["rcpt"].Count != 20 || result.Rounds[0].Own == nil {
		t.Fatalf("%+v (%v)", result, err)
	}
	if out, code := postbench(t, "compare", file, file); code != 0 || !strings.Contains(out, "no difference shown") || strings.Contains(out, "better") {
		t.Errorf("exit %d\n%s", code, out)
	}
	out, code := postbench(t, "compare", "--json", file, file)
	var all []bench.Comparison
	if err := json.Unmarshal([]byte(out), &all); code != 0 || err != nil || len(all) < 5 || all[0].Ratio != 1 {
		t.Errorf("exit %d (%v)\n%s", code, err, out)
	}
}

// A maildir that lacks a message, or holds a damaged one, is found out.
func TestVerify(t *testing.T) {
	r := receive(t, sink.Options{})
	dir := t.TempDir()
	ledger := filepath.Join(dir, "ledger")
	if out, code := postbench(t, "smtp", "-m", "5", "--ledger", ledger, "--json", filepath.Join(dir, "result"), r.addr); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	box := filepath.Join(dir, "box", "new")
	if err := os.MkdirAll(box, 0o700); err != nil {
		t.Fatal(err)
	}
	for n, a := range r.arrivals() {
		mail := bytes.ReplaceAll(bench.Unstuff(a.Message), []byte("\r\n"), []byte("\n"))
		if err := os.WriteFile(filepath.Join(box, string(rune('a'+n))), mail, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := func(want sysexits.Code, text string) {
		t.Helper()
		if out, code := postbench(t, "verify", "--verify-maildir", filepath.Join(dir, "box"), "--verify-wait", "0s", ledger); code != want || !strings.Contains(out, text) {
			t.Errorf("exit %d, want %d with %q\n%s", code, want, text, out)
		}
	}
	f(0, "5 found whole, 0 missing")
	if out, code := postbench(t, "verify", "--verify-maildir", dir, "--into", filepath.Join(dir, "result"), ledger); code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out, _ := postbench(t, "table", "--per-mb", "sink="+filepath.Join(dir, "result")); !strings.Contains(out, "5 of 5 found whole") || !strings.Contains(out, "us a MB") {
		t.Errorf("the table has nothing of what was found:\n%s", out)
	}
	mail, err := os.ReadFile(filepath.Join(box, "a"))
	if err != nil {
		t.Fatal(err)
	}
	mail[len(mail)-2] ^= 1
	if err := os.WriteFile(filepath.Join(box, "a"), mail, 0o600); err != nil {
		t.Fatal(err)
	}
	f(exFailed, "1 damaged")
	if err := os.Remove(filepath.Join(box, "b")); err != nil {
		t.Fatal(err)
	}
	f(exFailed, "2 missing")
}

// The next hop of a relay: a sink takes the place of the relay here, so nothing comes,
// and relay says so.
func TestRelay_NothingComes(t *testing.T) {
	r := receive(t, sink.Options{})
	out, code := postbench(t, "relay", "--next", "127.0.0.1:0", "-m", "3", "--arrive-within", "10ms", r.addr)
	if code != exFailed || !strings.Contains(out, "3 of 3 messages had not arrived") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestIdle(t *testing.T) {
	r := receive(t, sink.Options{})
	out, code := postbench(t, "idle", "--sessions", "50", "--hold", time.Millisecond.String(), "--source", "127.0.0.2,127.0.0.3", r.addr)
	if code != 0 || !strings.Contains(out, "50 sessions open") || !strings.Contains(out, "50 alive") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// sink counts down, prints its counters and lists what arrived.
func TestSink(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	ready, printed := &lines{seen: make(chan string, 1)}, &bytes.Buffer{}
	root := rootCommand()
	root.SetArgs([]string{"sink", "--messages", "3", "--list", list, "--fault", "tempfail-mail-first1", "127.0.0.1:0"})
	root.SetOut(printed)
	root.SetErr(ready)
	over := make(chan error, 1)
	go func() { over <- root.ExecuteContext(t.Context()) }()
	addr := strings.TrimSpace(strings.TrimPrefix(<-ready.seen, "ready smtp="))
	out, code := postbench(t, "smtp", "-m", "4", "-s", "1", addr)
	if err := <-over; err != nil || code != exFailed {
		t.Fatalf("%v, exit %d\n%s", err, code, out)
	}
	var counts sink.Counts
	if err := json.Unmarshal(printed.Bytes(), &counts); err != nil || counts.Messages != 3 || counts.Refused[451] != 1 || counts.Faults["tempfail-mail-first1"] != 1 {
		t.Errorf("%s (%v)", printed, err)
	}
	text, err := os.ReadFile(list)
	if rows := strings.Count(string(text), "\n"); err != nil || rows != 3 || !strings.Contains(string(text), "\treader@localhost\t") || !strings.Contains(string(text), "-3\n") {
		t.Errorf("the list (%v):\n%s", err, text)
	}
}

// A sink serves POP3 and metrics beside SMTP: what was sent is read, after what was
// made, and counted.
func TestSink_POP3AndMetrics(t *testing.T) {
	ready := &lines{seen: make(chan string, 1)}
	root := rootCommand()
	root.SetArgs(strings.Fields("sink --pop3 127.0.0.1:0 --pop3-messages 2 --pop3-size uniform:1k-9k --pop3-fault err-stat-first1 --metrics 127.0.0.1:0 127.0.0.1:0"))
	root.SetOut(io.Discard)
	root.SetErr(ready)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- root.ExecuteContext(ctx) }()
	addrs := make(map[string]string)
	for _, field := range strings.Fields(<-ready.seen)[1:] {
		name, addr, _ := strings.Cut(field, "=")
		addrs[name] = addr
	}
	if out, code := postbench(t, "smtp", "-m", "3", "-t", "ann@v.example", addrs["smtp"]); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	if out, code := postbench(t, "pop3", "--user", "ann", "--delete", addrs["pop3"]); code != 0 || !strings.Contains(out, "5 messages in") {
		t.Errorf("exit %d\n%s", code, out)
	}
	out, code := postbench(t, "pop3", "--user", "u%d", "--users", "3", "--profile", "uidl,top,retr=50%,dele", "--top", "4", "--stages", addrs["pop3"])
	if code != 0 || !strings.Contains(out, "6 messages in") || !strings.Contains(out, "uidl               3") || !strings.Contains(out, "retr               3") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out, code := postbench(t, "pop3", "--profile", "uidl", "--logins", "4", addrs["pop3"]); code != 0 || !strings.Contains(out, "4 messages in") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out, code := postbench(t, "pop3", "--user", "bob", "--logins", "1", addrs["pop3"]); code != exFailed || !strings.Contains(out, "as asked for by err-stat-first1") {
		t.Errorf("exit %d\n%s", code, out)
	}
	response, err := http.Get("http://" + addrs["metrics"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	for _, want := range []string{"postbench_sink_messages_total 3\n", "postbench_sink_pop3_deleted_total 11\n", `postbench_sink_faults_total{rule="err-stat-first1"} 1`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("no %q (%v) in:\n%s", want, err, text)
		}
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	f := func(args string) {
		t.Helper()
		if out, code := postbench(t, strings.Fields("sink "+args+" 127.0.0.1:0")...); code != sysexits.Usage {
			t.Errorf("%s: exit %d\n%s", args, code, out)
		}
	}
	f("--pop3-messages 1")
	f("--pop3 127.0.0.1:0 --pop3-fault tempfail-rcpt")
	f("--pop3 127.0.0.1:0 --pop3-wait dot=1s")
	f("--pop3 127.0.0.1:0 --pop3-messages 2000 --pop3-size 1m")
	f("--pop3 127.0.0.1:0 --pop3-keep much")
	f("--profile nobody")
}

// lines hands on what is written.
type lines struct{ seen chan string }

func (l *lines) Write(p []byte) (int, error) {
	l.seen <- string(p)
	return len(p), nil
}

// A maildrop that no server gives out is an error, and so is a wrong number.
func TestMaildrop_Fails(t *testing.T) {
	f := func(want sysexits.Code, args ...string) {
		t.Helper()
		if out, code := postbench(t, append([]string{"maildrop"}, args...)...); code != want {
			t.Errorf("exit %d, want %d\n%s", code, want, out)
		}
	}
	f(sysexits.Usage, "--logins", "0", "127.0.0.1:1")
	f(sysexits.Usage, "--tls", "maybe", "127.0.0.1:1")
	f(sysexits.Unavailable, "127.0.0.1:1")
}
