package bench

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Ledger is the list of the messages that a server acknowledged, and checks that
// they are where they should be. It may be used by many at once.
type Ledger struct {
	run  string
	mu   sync.Mutex // guards what follows
	rows map[string]*entry

	corrupt   []string
	unbooked  int // messages of this run that were never acknowledged to us
	strangers int
}

// An entry is one acknowledged message.
type entry struct {
	digest string // SHA-256 of its body, in hexadecimal
	to     []string
	reply  string
	found  int // copies
}

// NewLedger makes an empty one for the messages of a run (see [Corpus]).
func NewLedger(run string) *Ledger { return &Ledger{run: run, rows: make(map[string]*entry)} }

// Accept books message id: body digest, recipients, and the server's 250.
func (l *Ledger) Accept(id, digest string, to []string, reply Reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[id] = &entry{digest: digest, to: to, reply: reply.String()}
}

// Recipients lists all addresses that something was acknowledged for, sorted.
func (l *Ledger) Recipients() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[string]bool)
	for _, row := range l.rows {
		for _, to := range row.to {
			seen[to] = true
		}
	}
	all := make([]string, 0, len(seen))
	for to := range seen {
		all = append(all, to)
	}
	slices.Sort(all)
	return all
}

// Found checks a message that was read somewhere, dots undone; whatever fields
// servers put before or into its header don't matter. It borrows message.
func (l *Ledger) Found(message []byte) {
	header, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	id := field(append([]byte("\n"), header...), "\n"+idField+": ")
	digest := fmt.Sprintf("%x", sha256.Sum256(body))
	l.mu.Lock()
	defer l.mu.Unlock()
	row := l.rows[id]
	switch {
	case row == nil && strings.HasPrefix(id, l.run+"-"):
		l.unbooked++
	case row == nil:
		l.strangers++
	case row.digest != digest:
		l.corrupt = append(l.corrupt, id)
	default:
		row.found++
	}
}

// Forget begins the search again.
func (l *Ledger) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, row := range l.rows {
		row.found = 0
	}
	l.corrupt, l.unbooked, l.strangers = nil, 0, 0
}

// Audit is what a search for acknowledged messages found.
type Audit struct {
	Acknowledged int      `json:"acknowledged"` // copies: a message for two recipients is two
	Found        int      `json:"found"`
	Missing      []string `json:"missing,omitempty"` // ids, the first ones
	Lost         int      `json:"lost"`              // copies missing in all
	Corrupt      []string `json:"corrupt,omitempty"` // ids with another body than was sent
	Repeated     int      `json:"repeated"`          // copies too many
	Unbooked     int      `json:"unbooked"`          // found though no 250 was seen: allowed, a connection may break before it
	Strangers    int      `json:"strangers"`         // mail of others
}

// Audit compares what was found with what was acknowledged.
func (l *Ledger) Audit() Audit {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := Audit{Corrupt: slices.Clone(l.corrupt), Unbooked: l.unbooked, Strangers: l.strangers}
	for id, row := range l.rows {
		a.Acknowledged += len(row.to)
		a.Found += min(row.found, len(row.to))
		a.Repeated += max(0, row.found-len(row.to))
		if row.found < len(row.to) {
			a.Lost += len(row.to) - row.found
			a.Missing = append(a.Missing, id)
		}
	}
	slices.Sort(a.Missing)
	a.Missing = a.Missing[:min(len(a.Missing), 20)]
	return a
}

// Err is nil when everything acknowledged is there, whole.
func (a Audit) Err() error {
	if a.Lost == 0 && len(a.Corrupt) == 0 {
		return nil
	}
	return fmt.Errorf("of %d acknowledged copies %d are missing %v and %d are damaged %v", a.Acknowledged, a.Lost, a.Missing, len(a.Corrupt), a.Corrupt)
}

func (a Audit) String() string {
	return fmt.Sprintf("verified: %d acknowledged, %d found whole, %d missing, %d damaged, %d repeated, %d without a 250, %d of others",
		a.Acknowledged, a.Found, a.Lost, len(a.Corrupt), a.Repeated, a.Unbooked, a.Strangers)
}

// Write writes the ledger as lines of id, digest, recipients and reply, with
// tabs between; [ReadLedger] reads them.
func (l *Ledger) Write(w io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "run\t%s\n", l.run)
	for id, row := range l.rows {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", id, row.digest, strings.Join(row.to, ","), strings.ReplaceAll(row.reply, "\t", " "))
	}
	return out.Flush()
}

// ReadLedger reads what Write has written.
func ReadLedger(r io.Reader) (*Ledger, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var l *Ledger
	for number := 1; lines.Scan(); number++ {
		cells := strings.Split(lines.Text(), "\t")
		switch {
		case number == 1 && len(cells) == 2 && cells[0] == "run":
			l = NewLedger(cells[1])
		case l != nil && len(cells) == 4:
			l.rows[cells[0]] = &entry{digest: cells[1], to: strings.Split(cells[2], ","), reply: cells[3]}
		default:
			return nil, fmt.Errorf("line %d isn't a ledger line: it has %d fields", number, len(cells))
		}
	}
	if lines.Err() == nil && l == nil {
		return nil, fmt.Errorf("the ledger is empty: it has no first line")
	}
	return l, lines.Err()
}

// IDOf is the id that a message of a [Corpus] has, else its Message-ID, else
// nothing. The header is enough.
func IDOf(message []byte) string {
	header, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	header = append([]byte("\n"), header...)
	if id := field(header, "\n"+idField+": "); id != "" {
		return id
	}
	return field(header, "\nMessage-ID: ")
}
