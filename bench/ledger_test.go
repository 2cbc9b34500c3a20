package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// booked is a ledger of n messages of a corpus, and the messages as a reader gets
// them.
func booked(n int) (*Ledger, [][]byte) {
	sizes, _ := ParseSizes("uniform:500-2000")
	corpus := NewCorpus("run1", sizes, 3, 1)
	ledger := NewLedger("run1")
	var mail [][]byte
	for i := range n {
		ledger.Accept(corpus.ID(i), corpus.Digest(i), []string{fmt.Sprintf("u%d@v.example", i%2)}, Reply{250, []string{"kept\tas 1"}})
		message := append([]byte("Return-Path: <>\r\nReceived: from x\r\n\tby y\r\n"), corpus.Head(nil, i)...)
		mail = append(mail, append(message, Unstuff(corpus.Wire(i))...))
	}
	return ledger, mail
}

// Missing, damaged, repeated and foreign messages are counted separately.
func TestLedger(t *testing.T) {
	f := func(name string, change func([][]byte) [][]byte, want Audit, wantErr bool) {
		t.Helper()
		ledger, mail := booked(10)
		// Through its file and back.
		var file bytes.Buffer
		if err := ledger.Write(&file); err != nil {
			t.Fatal(err)
		}
		ledger, err := ReadLedger(&file)
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range change(mail) {
			ledger.Found(message)
		}
		got := ledger.Audit()
		if fmt.Sprint(got) != fmt.Sprint(want) || (got.Err() != nil) != wantErr {
			t.Errorf("%s: %s (%v), want %s", name, got, got.Err(), want)
		}
	}
	f("all there", func(m [][]byte) [][]byte { return m }, Audit{Acknowledged: 10, Found: 10}, false)
	f("one missing", func(m [][]byte) [][]byte { return m[1:] }, Audit{Acknowledged: 10, Found: 9, Lost: 1, Missing: []string{"run1-0"}}, true)
	f("one twice", func(m [][]byte) [][]byte { return append(m, m[3]) }, Audit{Acknowledged: 10, Found: 10, Repeated: 1}, false)
	f("an octet changed", func(m [][]byte) [][]byte {
		m[2][len(m[2])-5] ^= 1
		return m
	}, Audit{Acknowledged: 10, Found: 9, Lost: 1, Corrupt: []string{"run1-2"}, Missing: []string{"run1-2"}}, true)
	f("cut short", func(m [][]byte) [][]byte {
		m[2] = m[2][:len(m[2])-20]
		return m
	}, Audit{Acknowledged: 10, Found: 9, Lost: 1, Corrupt: []string{"run1-2"}}, true)
	f("another's body", func(m [][]byte) [][]byte {
		header, _, _ := bytes.Cut(m[0], []byte("\r\n\r\n"))
		_, body, _ := bytes.Cut(m[1], []byte("\r\n\r\n"))
		m[0] = append(append(header[:len(header):len(header)], "\r\n\r\n"...), body...)
		return m
	}, Audit{Acknowledged: 10, Found: 9, Lost: 1, Corrupt: []string{"run1-0"}}, true)
	f("others' mail", func(m [][]byte) [][]byte {
		return append(m, []byte("Subject: x\r\n\r\nx\r\n"), bytes.Replace(m[0], []byte("run1-0"), []byte("run1-77"), 1))
	}, Audit{Acknowledged: 10, Found: 10, Strangers: 1, Unbooked: 1}, false)
}

func TestReadLedger_Failure(t *testing.T) {
	for _, text := range []string{"", "x\n", "a\tb\tc\td\n", "run\tr\nid\tdigest\n"} {
		if _, err := ReadLedger(strings.NewReader(text)); err == nil {
			t.Errorf("ReadLedger(%q) took it", text)
		}
	}
}

// Mails of a folder are sent with CRLF whatever their lines ended with, and their
// bodies are what the ledger expects.
func TestReadCorpus(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"lf": "Subject: a\n\nx\n.y\n", "crlf": "Subject: a\r\n\r\nx\r\n.y\r\n", "no end": "Subject: a\n\nx\n.y", "cr": "Subject: a\r\rx\r.y\r"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := ReadCorpus("run", dir)
	if err != nil || c.Len() != 4 {
		t.Fatalf("%d mails (%v)", c.Len(), err)
	}
	for n := range c.Len() {
		if got := string(c.Wire(n)); got != "Subject: a\r\n\r\nx\r\n..y\r\n" || c.Digest(n) != c.Digest(0) {
			t.Errorf("mail %d is sent as %q", n, got)
		}
	}
	if _, err := ReadCorpus("run", t.TempDir()); err == nil {
		t.Error("an empty folder is a corpus")
	}
}

func TestParseSizes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	f := func(text string, low, median, high int) {
		t.Helper()
		s, err := ParseSizes(text)
		if err != nil {
			t.Error(err)
			return
		}
		var all Latencies
		for range 2001 {
			all = append(all, time.Duration(s.Draw(random)))
		}
		if got := int(all.Quantile(0.5)); got < median*9/10 || got > median*11/10 || int(all.Quantile(0)) < low || int(all.Quantile(1)) > high {
			t.Errorf("%s: %d, median %d, %d", text, all.Quantile(0), got, all.Quantile(1))
		}
	}
	f("4096", 4096, 4096, 4096)
	f("4k", 4096, 4096, 4096)
	f("1.5m", 3<<19, 3<<19, 3<<19)
	f("uniform:1k-3k", 1024, 2048, 3072)
	f("lognormal:4k,2", 1, 4096, maxSize)
	for _, text := range []string{"", "k", "-1", "0", "2g", "NaN", "uniform:1k", "uniform:2k-1k", "lognormal:1k", "lognormal:1k,0.5", "normal:1,2"} {
		if s, err := ParseSizes(text); err == nil {
			t.Errorf("ParseSizes(%q) = %+v", text, s)
		}
	}
}

// A stage in the verdict of compare is better or worse by its own sense; rounds
// that overlap, and too few, show nothing.
func TestCompare(t *testing.T) {
	result := func(perSecond ...int) *Result {
		r := &Result{Workload: "smtp"}
		for _, n := range perSecond {
			at := time.Second / time.Duration(n)
			r.Rounds = append(r.Rounds, Report{Messages: n, Elapsed: time.Second, Stages: map[string]Summary{"message": {Count: int64(n), P50: at, P99: at}}})
		}
		return r
	}
	f := func(a, b *Result, rate, p50 Verdict, ratio, chance float64) {
		t.Helper()
		all := Compare(a, b)
		if len(all) != 3 || all[0].Verdict != rate || all[1].Verdict != p50 || all[0].Ratio != ratio || all[0].Chance != chance {
			t.Errorf("%s", ComparisonTable(all))
		}
	}
	f(result(100, 110, 90), result(200, 190, 220), Better, Better, 2, 0.1)
	f(result(200, 190, 220), result(100, 110, 90), Worse, Worse, 0.5, 0.1)
	f(result(100, 110, 90), result(105, 120, 130), Same, Same, 1.2, 1)
	f(result(100, 110), result(200, 220), Unsure, Unsure, 2, 2.0/6)
	f(result(1, 2, 3, 4, 5), result(12, 12, 12, 12, 12), Better, Better, 4, 2.0/252)
}

// A result survives its file, and its page has all charts.
func TestResult(t *testing.T) {
	m := NewMeter()
	for i := range 5000 {
		m.Time(StageRcpt, time.Duration(i)*time.Microsecond)
		m.Count(100, time.Duration(i)*time.Microsecond)
	}
	m.Refuse("550 <script>no</script>")
	r := &Result{Workload: "smtp", Target: "t:25", Rounds: []Report{m.Report()}}
	name := filepath.Join(t.TempDir(), "r.json")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(f); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	again, err := ReadResult(name)
	if err != nil || again.Rounds[0].Stages["rcpt"].P99 != r.Rounds[0].Stages["rcpt"].P99 || again.Rounds[0].Refused["550 <script>no</script>"] != 1 {
		t.Errorf("%+v (%v)", again, err)
	}
	var page, lines bytes.Buffer
	r.Rounds = append(r.Rounds, r.Rounds[0]) // the second is too short for a chart of its rate
	r.Rounds[0].Seconds = []int{1000, 2000, 1500}
	if err := r.Page(&page); err != nil || strings.Count(page.String(), "<svg") != 3 || strings.Count(page.String(), "too short") != 1 || strings.Contains(page.String(), "<script") || strings.Contains(page.String(), "http") {
		t.Errorf("the page (%v):\n%s", err, &page)
	}
	if r.Rounds = r.Rounds[:1]; !strings.Contains(page.String(), "Round 2 of 2") {
		t.Errorf("the page has no second round:\n%s", &page)
	}
	if r.Benchstat(&lines); !strings.HasPrefix(lines.String(), "BenchmarkSmtp 5000 ") || !strings.Contains(lines.String(), " rcpt-p50-us") {
		t.Errorf("for benchstat: %s", &lines)
	}
}

// Len is the number of texts.
func (c *Corpus) Len() int { return len(c.texts) }
