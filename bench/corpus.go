package bench

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// idField names the field with the run and the number of the message.
const idField = "X-Bench-ID"

// Corpus is what a load sends: texts made or read before the clock starts, which
// messages take in turn. A message has an id of its own before its text, so all
// differ; the ledger ties the id to the text's digest.
type Corpus struct {
	run   string
	texts []text
}

// A text is what messages share.
type text struct {
	wire   []byte // the header's rest, the empty line and the body, stuffed
	digest string // the SHA-256 of the body
}

// NewCorpus makes texts of random sizes. The same seed makes the same.
func NewCorpus(run string, sizes Sizes, texts int, seed uint64) *Corpus {
	random := rand.New(rand.NewPCG(seed, seed))
	c := &Corpus{run: run}
	for n := range texts {
		body := make([]byte, 0, 4096)
		for size := sizes.Draw(random); len(body)+200 < size || len(body) == 0; {
			body = fmt.Appendf(body, "text %5d octet %9d: the post rider has the mail in his bag %6d\r\n", n, len(body), random.IntN(1000000))
		}
		c.add([]byte("From: <sender@bench.example>\r\nTo: <reader@bench.example>\r\nSubject: load\r\n"), body)
	}
	return c
}

func (c *Corpus) add(header, body []byte) {
	message := append(append(header, "\r\n"...), body...)
	c.texts = append(c.texts, text{Stuff(message), fmt.Sprintf("%x", sha256.Sum256(body))})
}

// ReadCorpus takes the mails in a folder and the folders in it, one a file. Their
// lines may end in LF, CRLF or CR and are sent with CRLF.
func ReadCorpus(run, folder string) (*Corpus, error) {
	c := &Corpus{run: run}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		octets, err := os.ReadFile(path)
		if err == nil && len(octets) > 0 {
			c.addMail(octets)
		}
		return err
	})
	if err == nil && len(c.texts) == 0 {
		err = fmt.Errorf("%s holds no mail: it needs files with one message each", folder)
	}
	return c, err
}

func (c *Corpus) addMail(octets []byte) {
	lines := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(string(octets))
	if !strings.HasSuffix(lines, "\r\n") {
		lines += "\r\n"
	}
	header, body, ok := bytes.Cut([]byte(lines), []byte("\r\n\r\n"))
	if !ok { // a header without an end
		header, body = bytes.TrimSuffix([]byte(lines), []byte("\r\n")), nil
	}
	c.add(append(header[:len(header):len(header)], "\r\n"...), body)
}

// ID is the id of message n.
func (c *Corpus) ID(n int) string { return fmt.Sprintf("%s-%d", c.run, n) }

// Digest is the SHA-256 of the body of message n, in hexadecimal.
func (c *Corpus) Digest(n int) string { return c.texts[n%len(c.texts)].digest }

// Wire is for [Load.Wire].
func (c *Corpus) Wire(n int) []byte { return c.texts[n%len(c.texts)].wire }

// Head is for [Load.Head].
func (c *Corpus) Head(dst []byte, n int) []byte {
	return fmt.Appendf(dst, "%s: %s-%d\r\nMessage-ID: <%s.%d@bench.example>\r\n", idField, c.run, n, c.run, n)
}
