package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sample is one real message from a package, with CRLF line ends.
type sample struct {
	name    string // package and file
	message []byte // ends with CRLF, dots not stuffed
}

// corpusHomes are the places where packages put sample mail, below the folder of
// POSTRIDER_CORPUS (into which .ci/corpus unpacks them) and below / (when they
// are installed). Bounces, news, forged MIME, 8-bit headers, attachments: what
// the authors of mail software found worth a test.
var corpusHomes = regexp.MustCompile(`/test_email/data/msg_\w+\.txt$` + // libpython3.11-testsuite
	`|/flufl/bounce/tests/data/\w+\.txt$` + // python3-flufl.bounce
	`|/enmime/testdata/(mail|parts|low-quality)/[^/]+\.(raw|eml)$` + // golang-github-jhillyerd-enmime-dev
	`|/mailman/.*/tests/data/[^/]+\.eml$` + // mailman3
	`|/spamassassin/examples/sample-\w+\.txt$`) // spamassassin

// corpus loads the sample mail, each message once, and logs what it found. In CI
// there have to be 100 messages that SMTP can carry.
var corpus = sync.OnceValues(func() (good []sample, report string) {
	var log strings.Builder
	good = madeSamples()
	seen := make(map[[32]byte]bool)
	kinds := make(map[string]int)
	unfit := 0
	for _, file := range corpusFiles() {
		octets, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		message := normalize(octets)
		if digest := sha256.Sum256(message); seen[digest] || len(octets) == 0 {
			continue
		} else {
			seen[digest] = true
		}
		name := sampleName(file)
		if why := unsendable(message); why != "" {
			unfit++
			log.WriteString("  left out, " + why + ": " + name + "\n")
			continue
		}
		good = append(good, sample{name, message})
		for _, kind := range kindsOf(message) {
			kinds[kind]++
		}
	}
	return good, corpusReport(len(good), unfit, kinds) + log.String()
})

// madeSamples are messages with what the packages' mail has too little of: dots,
// lines of the full length, every octet from 128 to 255, a missing header.
func madeSamples() []sample {
	header := "From: sender@client.example\r\nTo: reader@localhost\r\nSubject: made\r\n\r\n"
	eightBit := []byte(header)
	for octet := 128; octet < 256; octet++ {
		eightBit = append(eightBit, byte(octet), byte(octet), ' ')
	}
	return []sample{
		{"made: dots", []byte(header + ".\r\n..\r\n...\r\n.\r\n\r\n.a\r\nFrom: no field\r\n>From no\r\nFrom no\r\n.\r\n")},
		{"made: full lines", []byte(header + strings.Repeat("x", 998) + "\r\n." + strings.Repeat("y", 997) + "\r\n")},
		{"made: 8-bit", append(eightBit, "\r\n"...)},
		{"made: empty text", []byte(header)},
		{"made: many empty lines", []byte(header + strings.Repeat("\r\n", 100))},
	}
}

// samples returns at most limit messages of the corpus, spread over all of it.
func samples(t *testing.T, limit int) []sample {
	t.Helper()
	all, report := corpus()
	reportOnce.Do(func() { t.Log(report) })
	if len(all) < 100 {
		missing(t, "%d sample messages found, 100 needed: run .ci/corpus DIR and set POSTRIDER_CORPUS=DIR", len(all))
	}
	if len(all) <= limit {
		return all
	}
	spread := make([]sample, 0, limit)
	for i := range limit {
		spread = append(spread, all[i*len(all)/limit])
	}
	return spread
}

// reportOnce makes one test log what the corpus holds.
var reportOnce sync.Once

// corpusFiles lists the files of the corpus in a fixed order.
func corpusFiles() []string {
	roots := []string{"/usr/lib", "/usr/share/doc/spamassassin", "/usr/share/gocode"}
	if dir := os.Getenv("POSTRIDER_CORPUS"); dir != "" {
		roots = []string{dir}
	}
	var files []string
	for _, root := range roots {
		filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && corpusHomes.MatchString(path) {
				files = append(files, path)
			}
			return nil
		})
	}
	return files
}

// normalize turns every line end into CRLF and sees to one at the end, as a mail
// client does before it sends. A CR that isn't part of a line end stays.
func normalize(octets []byte) []byte {
	octets = bytes.ReplaceAll(octets, []byte("\r\n"), []byte("\n"))
	octets = bytes.ReplaceAll(octets, []byte("\n"), []byte("\r\n"))
	if !bytes.HasSuffix(octets, []byte("\r\n")) {
		octets = append(octets, "\r\n"...)
	}
	return octets
}

// unsendable reports why DATA can't carry a message as it is, or nothing.
func unsendable(message []byte) string {
	switch {
	case bytes.IndexByte(message, 0) >= 0:
		return "it holds a NUL (RFC 5322 section 2.3)"
	case bytes.Count(message, []byte("\r")) != bytes.Count(message, []byte("\r\n")):
		return "it holds a bare CR (RFC 5321 section 2.3.8)"
	case longestLine(message) > 998:
		return "it holds a line of more than 998 octets (RFC 5321 section 4.5.3.1.6)"
	case message[0] == ' ' || message[0] == '\t':
		return "it begins with a folded line, so it is unknown where the trace fields end"
	}
	return ""
}

func longestLine(message []byte) (longest int) {
	for line := range bytes.SplitSeq(message, []byte("\r\n")) {
		longest = max(longest, len(line))
	}
	return longest
}

// kindsOf names what is unusual about a message.
func kindsOf(message []byte) (kinds []string) {
	add := func(kind string, is bool) {
		if is {
			kinds = append(kinds, kind)
		}
	}
	header, text, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	is8bit := func(b []byte) bool { return bytes.ContainsFunc(b, func(r rune) bool { return r > 126 }) }
	add("with 8-bit text", is8bit(text))
	add("with 8-bit header", is8bit(header))
	add("with lines over 78 octets", longestLine(message) > 78)
	add("with lines over 200 octets", longestLine(message) > 200)
	add("with lines that begin with a dot", bytes.Contains(message, []byte("\r\n.")))
	add("multipart", bytes.Contains(bytes.ToLower(header), []byte("multipart/")))
	add("with attachments", bytes.Contains(bytes.ToLower(message), []byte("attachment")))
	add("without an empty line after the header", text == nil)
	add("that begin with an mbox line", bytes.HasPrefix(message, []byte("From ")))
	add("with Return-Path of their own", hasField(header, "return-path:"))
	return kinds
}

func hasField(header []byte, name string) bool {
	return bytes.Contains(bytes.ToLower(append([]byte("\r\n"), header...)), []byte("\r\n"+name))
}

// sampleName is the last part of a path, enough to find the file again.
func sampleName(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[max(0, len(parts)-4):], "/")
}

func corpusReport(good, unfit int, kinds map[string]int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "corpus: %d different messages, %d more left out\n", good, unfit)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "  %4d %s\n", kinds[kind], kind)
	}
	return b.String()
}
