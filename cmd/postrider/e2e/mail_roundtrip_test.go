package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime/quotedprintable"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/codec/uu"
)

// parcel is a message with files, which is sent and has to come back.
type parcel struct {
	subject string
	names   []string // safe ones, as they are saved
	files   [][]byte
	uu, raw bool // uuencoded in the text; written here with an encoding that the client doesn't use
}

// oddNames are names that have gone wrong somewhere. A name that looks like an encoded
// word (RFC 2047) is not among them: too many programs encode names that way for it to be
// taken as it is.
var oddNames = []string{
	"plain.bin", "two words.txt", "dög 犬 🐕.bin", `quo"ted'.bin`, "semi;colon=1.dat", "100%41.bin", ".hidden", "-rf",
	strings.Repeat("long", 40) + ".bin", "no extension", "a.tar.gz", "tab\tand line\nend.bin", `back\slash.bin`, "é\u0301\u202egpj.bin", "(brackets) [and] {more}.bin",
	"letter.eml", "page.html", "mbox.txt", "trailing .", "\u00a0blank", "comma, and.bin", "amp&er*sand?.bin", "image.jpg",
}

// contents makes octets of a size: noise, or text with what mail is apt to change.
func contents(r *rand.Rand, size int) []byte {
	octets := make([]byte, 0, size)
	switch r.IntN(3) {
	case 0:
		noise := rand.NewChaCha8([32]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		octets = octets[:size]
		noise.Read(octets)
		return octets
	case 1:
		lines := []string{".\r\n", "..\n", "From here\n", "begin 644 x\n", "end\n", "`\n", "--\n", "=3D\r\n", "word word\r", "\x00\n", "trailing blanks  \n", "\xff\xfe\n"}
		for len(octets) < size {
			octets = append(octets, lines[r.IntN(len(lines))]...)
		}
		return octets[:size]
	}
	return append(octets, bytes.Repeat([]byte{byte(r.IntN(256))}, size)...)
}

// sizeOf is the size of file i of n: nearly all are small, a few are large.
func sizeOf(r *rand.Rand, i, n int) int {
	switch {
	case i == n/2, n > 100 && i%300 == 100:
		return 30 << 20
	case i%50 == 7:
		return 1 << 20
	case i%5 == 0:
		return r.IntN(4)
	}
	return r.IntN(1 << (4 + r.IntN(14)))
}

func parcels(n int) (list []parcel) {
	r := rand.New(rand.NewPCG(5, 3))
	for i := range n {
		p := parcel{subject: fmt.Sprintf("parcel %d", i), raw: i%7 == 3}
		p.uu = !p.raw && i%4 == 1
		taken := map[string]int{}
		for k := range 1 + r.IntN(4) {
			size := r.IntN(2000)
			if k == 0 {
				size = sizeOf(r, i, n)
			}
			name := oddNames[r.IntN(len(oddNames))]
			if taken[name]++; taken[name] > 1 {
				continue // one folder can't have two
			}
			p.names, p.files = append(p.names, name), append(p.files, contents(r, size))
		}
		list = append(list, p)
	}
	return list
}

// rawMessage writes a message with files that are encoded as other programs do it.
func (p *parcel) rawMessage() []byte {
	var m bytes.Buffer
	fmt.Fprintf(&m, "From: writer@localhost\r\nTo: reader@localhost\r\nSubject: %s\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed;\r\n boundary=\"=_b\"\r\n\r\npreamble\r\n--=_b\r\n\r\nThe text.\r\n", p.subject)
	for i, octets := range p.files {
		m.WriteString("--=_b\r\nContent-Type: application/octet-stream\r\n")
		encoded, encoding := base64.StdEncoding.EncodeToString(octets), "BASE64"
		lines := regexp.MustCompile(`.{1,72}`).ReplaceAllString(encoded, "$0\r\n")
		plain := !bytes.ContainsAny(octets, "\r\n\x00") && len(octets) < 900 && !bytes.ContainsFunc(octets, func(r rune) bool { return r == '\ufffd' })
		switch {
		case i%4 == 1 || len(octets)%4 == 1:
			var qp strings.Builder
			w := quotedprintable.NewWriter(&qp)
			w.Binary = true
			w.Write(octets)
			w.Close()
			lines, encoding = qp.String()+"\r\n", "quoted-printable"
		case plain && len(octets) > 0 && bytes.ContainsFunc(octets, func(r rune) bool { return r > 127 }):
			lines, encoding = string(octets)+"\r\n", "8bit"
		case plain && len(octets) > 0:
			lines, encoding = string(octets)+"\r\n", "7bit"
		case i%4 == 2 || len(octets)%4 == 2:
			text := uu.AppendFile(nil, uu.Header{Mode: 0o644, Name: "x"}, octets, uu.Backtick)
			lines, encoding = string(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))), "x-uuencode"
		}
		fmt.Fprintf(&m, "Content-Transfer-Encoding: %s\r\n", encoding)
		name := []byte(p.names[i])
		m.WriteString("Content-Disposition: attachment;")
		for n := 0; len(name) > 0; n++ { // RFC 2231, in pieces
			piece := name[:min(len(name), 20)]
			name = name[len(piece):]
			charset := ""
			if n == 0 {
				charset = "UTF-8''"
			}
			fmt.Fprintf(&m, "\r\n filename*%d*=%s", n, charset)
			for _, c := range piece {
				fmt.Fprintf(&m, "%%%02X", c)
			}
			if len(name) > 0 {
				m.WriteByte(';')
			}
		}
		m.WriteString("\r\n\r\n" + lines)
	}
	m.WriteString("--=_b--\r\nepilogue\r\n")
	return m.Bytes()
}

// digests are the files' digests, sorted. Empty files are left out for programs that make none.
func digests(files [][]byte, empty bool) (sums []string) {
	for _, octets := range files {
		if len(octets) > 0 || empty {
			sums = append(sums, fmt.Sprintf("%x", sha256.Sum256(octets)))
		}
	}
	slices.Sort(sums)
	return sums
}

// Messages with files of all sizes, names and encodings, sent by "postrider mail send" by
// SMTP into the store, come out whole: by "postrider mail save", from the web pages, and by
// mpop with munpack and ripmime.
func TestMailRoundTrip(t *testing.T) {
	heavy(t)
	for _, program := range []string{"mpop", "munpack", "ripmime"} {
		need(t, program)
	}
	n := 60
	if more := os.Getenv("POSTRIDER_PARCELS"); more != "" {
		n, _ = strconv.Atoi(more)
	}
	s := newServer(t, "writer", "reader")
	s.args = append(s.args, "--http", "127.0.0.1:0")
	s.start()
	c := newMailClient(t)
	for _, name := range []string{"writer", "reader"} {
		c.account(name, name, "--pop3", s.pop3[0], "--pop3-security", "none", "--smtp", s.smtp[0], "--smtp-security", "none")
	}
	list := parcels(n)
	begin := time.Now()
	sendParcels(t, s, c, list)
	sent := time.Since(begin)
	begin = time.Now()
	compareSaved(t, c, list)
	t.Logf("%d messages sent in %.1f s, saved and compared in %.1f s", n, sent.Seconds(), time.Since(begin).Seconds())
	begin = time.Now()
	compareInPages(t, s, list)
	t.Logf("saved from the web pages and compared in %.1f s", time.Since(begin).Seconds())
	begin = time.Now()
	compareUnpacked(t, s, list)
	t.Logf("fetched by mpop, unpacked by munpack and ripmime, and compared in %.1f s", time.Since(begin).Seconds())
	s.terminate()
}

// sendParcels sends two at a time.
func sendParcels(t *testing.T, s *server, c *mailClient, list []parcel) {
	t.Helper()
	var group sync.WaitGroup
	work := make(chan *parcel)
	for range 2 {
		group.Go(func() {
			for p := range work {
				dir := t.TempDir()
				args := []string{"send", "-a", "writer", "--to", "reader@localhost", "--subject", p.subject}
				for i, octets := range p.files {
					path := filepath.Join(dir, p.names[i])
					if err := os.WriteFile(path, octets, 0o600); err != nil {
						t.Error(err)
					}
					args = append(args, "--attach", path)
				}
				if p.uu {
					args = append(args, "--uuencode")
				}
				if _, said, code := c.run("The text.\n", args...); code != 0 {
					t.Errorf("%s, %q: exit code %d, %s", p.subject, p.names, code, said)
				}
				os.RemoveAll(dir)
			}
		})
	}
	for i := range list {
		if p := &list[i]; p.raw {
			s.send("reader", p.rawMessage())
		} else {
			work <- p
		}
	}
	close(work)
	group.Wait()
}

// compareSaved saves all attachments in one run, and compares names and octets.
func compareSaved(t *testing.T, c *mailClient, list []parcel) {
	t.Helper()
	lines := c.list("-a", "reader")
	if len(lines) != len(list) {
		t.Fatalf("%d of %d messages arrived", len(lines), len(list))
	}
	subjects := make(map[int]string)
	for _, l := range lines {
		subjects[l.Number] = l.Subject
	}
	var all []saved
	c.decode(c.must("", "save", "all", "-a", "reader", "--json", "--out", filepath.Join(t.TempDir(), "saved")), &all)
	got := make(map[string][]saved)
	for _, f := range all {
		got[subjects[f.Message]] = append(got[subjects[f.Message]], f)
	}
	files := 0
	for _, p := range list {
		var octets [][]byte
		var names, want []string
		for _, f := range got[p.subject] {
			content, err := os.ReadFile(f.Path)
			if err != nil || f.Damaged != "" || int64(len(content)) != f.Size {
				t.Errorf("%s: %+v, %v", p.subject, f, err)
			}
			octets, names = append(octets, content), append(names, f.Name)
			files++
		}
		for _, name := range p.names {
			want = append(want, uu.SafeName(name))
		}
		if !slices.Equal(digests(octets, true), digests(p.files, true)) {
			t.Errorf("%s (uuencoded %v, raw %v): the files %q are other ones than %q", p.subject, p.uu, p.raw, names, p.names)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s (uuencoded %v, raw %v): the names %q, want %q", p.subject, p.uu, p.raw, names, want)
		}
	}
	t.Logf("%d attachments saved", files)
}

var subjectLine = regexp.MustCompile(`(?m)^Subject: (.*?)\r?$`)

// compareUnpacked lets other programs fetch and unpack the same mail.
func compareUnpacked(t *testing.T, s *server, list []parcel) {
	t.Helper()
	host, port, _ := strings.Cut(s.pop3[0], ":")
	bySubject := make(map[string]string)
	maildir := mpopMaildir(t, host, port)
	paths, err := filepath.Glob(filepath.Join(maildir, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		octets, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if m := subjectLine.FindSubmatch(octets[:min(len(octets), 8<<10)]); m != nil {
			bySubject[string(m[1])] = path
		}
	}
	for _, program := range []string{"munpack", "ripmime"} {
		compared := 0
		for _, p := range list {
			if bySubject[p.subject] == "" {
				t.Fatalf("%s was not fetched", p.subject)
			}
			unpacked := digests(unpack(t, program, bySubject[p.subject]), false)
			for i, octets := range p.files {
				if len(octets) == 0 || !p.readableBy(program, i) {
					continue
				}
				compared++
				sum := digests([][]byte{octets}, false)
				if p.raw { // ripmime keeps the line end after what is not base64
					sum = append(sum, digests([][]byte{append(slices.Clone(octets), '\n')}, false)...)
				}
				if !slices.ContainsFunc(sum, func(s string) bool { return slices.Contains(unpacked, s) }) {
					t.Errorf("%s made nothing of %q of %s (uuencoded %v), %d octets", program, p.names[i], p.subject, p.uu, len(octets))
				}
			}
		}
		t.Logf("%s: %d files compared", program, compared)
	}
}

// readableBy reports whether another program can be expected to unpack file i: munpack
// makes a file of the first uuencoded one only, and of no text.
func (p *parcel) readableBy(program string, i int) bool {
	if program == "ripmime" {
		return true
	}
	switch filepath.Ext(p.names[i]) {
	case ".bin", ".dat", ".gz", ".jpg", "":
		return !p.uu && !p.raw
	}
	return false
}

// unpack has a program unpack a message and returns the files that it made.
func unpack(t *testing.T, program, message string) [][]byte {
	t.Helper()
	dir := t.TempDir()
	defer os.RemoveAll(dir)
	args := []string{"-q", "-f", "-C", dir, message}
	if program == "ripmime" {
		args = []string{"-i", message, "-d", dir}
	}
	if said, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v, %s", program, err, said)
	}
	var files [][]byte
	entries, err := os.ReadDir(dir) // hidden ones too
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		octets, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, octets)
	}
	return files
}
