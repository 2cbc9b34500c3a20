package binarymime

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"regexp"
	"strings"
)

// The slow, obvious twin: a reader of whole messages, by lines and recursion. It says
// nothing of how a message is converted; what it reads must be the same before and after.

// node is a part.
type node struct {
	header  [][2]string // name in lower case, value unfolded
	content string      // the body of a leaf, not decoded
	leaf    bool
	parts   []*node
}

var fieldLine = regexp.MustCompile(`^([!-9;-~]{1,256})[ \t]*:`)

func (n *node) get(name string) (string, bool) {
	for _, f := range n.header {
		if f[0] == name {
			return strings.TrimSpace(strings.NewReplacer("\x00", " ", "\r", " ").Replace(f[1])), true
		}
	}
	return "", false
}

// slowReader has the lines of a message that are left, with their ends.
type slowReader struct{ lines []string }

func trimEnd(line string) string {
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
}

// delimiter returns which of the boundaries, the outermost first, a line delimits.
func delimiter(line string, open []string) (which int, last bool) {
	for i := len(open) - 1; i >= 0; i-- {
		rest, ok := strings.CutPrefix(line, "--"+open[i])
		if !ok || open[i] == "" || len(line) >= maxDelimiter {
			continue
		}
		switch strings.TrimRight(rest, " \t\r\n") {
		case "":
			return i, false
		case "--":
			return i, true
		}
	}
	return -1, false
}

// read reads a part up to a delimiter of any open multipart.
func (r *slowReader) read(open []string, inDigest bool) *node {
	n := new(node)
	blank := r.header(n, open)
	typ, said := n.get("content-type")
	enc, _ := n.get("content-transfer-encoding")
	mediaType, boundary := parseType(typ)
	enc, _, _ = strings.Cut(strings.ToLower(enc), "(")
	identity := strings.Contains("|7bit|8bit|binary||", "|"+strings.TrimSpace(enc)+"|")
	switch {
	case blank && identity && (mediaType == "message/rfc822" || mediaType == "message/global" || inDigest && !said):
		n.parts = append(n.parts, r.read(open, false))
	case blank && identity && strings.HasPrefix(mediaType, "multipart/"):
		r.multipart(n, boundary, open, mediaType == "multipart/digest")
	default:
		n.content, n.leaf = r.body(open), true
	}
	return n
}

// header reads a header; blank: a body follows.
func (r *slowReader) header(n *node, open []string) (blank bool) {
	for len(r.lines) > 0 {
		line := r.lines[0]
		if i, _ := delimiter(line, open); i >= 0 {
			return false
		}
		m := fieldLine.FindStringSubmatch(line)
		switch {
		case line == "\n" || line == "\r\n":
			r.lines = r.lines[1:]
			return true
		case len(n.header) > 0 && strings.ContainsAny(line[:1], " \t"):
			n.header[len(n.header)-1][1] += trimEnd(line)
		case m == nil:
			return true
		default:
			n.header = append(n.header, [2]string{strings.ToLower(m[1]), trimEnd(line[len(m[0]):])})
		}
		r.lines = r.lines[1:]
	}
	return false
}

// body reads up to a delimiter, without the line end that belongs to it.
func (r *slowReader) body(open []string) string {
	var b strings.Builder
	for len(r.lines) > 0 {
		if i, _ := delimiter(r.lines[0], open); i >= 0 {
			return trimEnd(b.String())
		}
		b.WriteString(r.lines[0])
		r.lines = r.lines[1:]
	}
	return b.String()
}

func (r *slowReader) multipart(n *node, boundary string, open []string, digest bool) {
	whole := append(open[:len(open):len(open)], boundary)
	preamble := r.body(whole)
	for len(r.lines) > 0 {
		i, last := delimiter(r.lines[0], whole)
		if i != len(open) {
			break
		}
		r.lines = r.lines[1:]
		if last {
			r.body(open) // the epilogue
			return
		}
		n.parts = append(n.parts, r.read(whole, digest))
	}
	if len(n.parts) == 0 {
		n.content, n.leaf = preamble, true
	}
}

func slowRead(message string) *node {
	r := &slowReader{strings.SplitAfter(message, "\n")}
	if n := len(r.lines); r.lines[n-1] == "" {
		r.lines = r.lines[:n-1]
	}
	return r.read(nil, false)
}

// decoded is the content of a leaf, if it can be decoded: what is broken, or in an
// encoding that is not known, gets lines and no promise. What a decoder of base64 passes
// over is passed over. A CR alone is an octet of quoted-printable like others, also at the
// end of a line: package quotedprintable takes it for white space there.
func (n *node) decoded() (content string, ok bool) {
	enc, _ := n.get("content-transfer-encoding")
	enc, _, _ = strings.Cut(strings.ToLower(enc), "(")
	switch strings.TrimSpace(enc) {
	case "base64":
		alphabet := strings.Map(func(r rune) rune {
			if r < 0x80 && (r == '+' || r == '/' || r == '=' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
				return r
			}
			return -1
		}, n.content)
		if b, err := base64.StdEncoding.DecodeString(alphabet); err == nil {
			return string(b), true
		}
		return alphabet, true
	case "quoted-printable":
		lines := strings.ReplaceAll(strings.ReplaceAll(n.content, "\r\n", "\n"), "\r", "=0D")
		b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(strings.ReplaceAll(lines, "\n", "\r\n"))))
		if err != nil {
			return "", false
		}
		return strings.ReplaceAll(string(b), "\r\n", "\n"), true
	case "", "7bit", "8bit", "binary":
		return n.content, true
	}
	return "", false
}

// convert does both passes, cut octets at a time.
func convert(message string, cut int) (string, *Plan, error) {
	var s Survey
	for piece := range chunks(message, cut) {
		if err := s.Write(piece); err != nil {
			return "", nil, err
		}
	}
	plan, err := s.End()
	if err != nil {
		return "", nil, err
	}
	c := NewConverter(plan)
	var out []byte
	for piece := range chunks(message, cut+1) {
		out = c.Append(out, piece)
		for i := range piece {
			piece[i] = 0xDB // borrowed until the call returns
		}
	}
	return string(c.End(out)), plan, nil
}

func chunks(s string, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for b := []byte(s); len(b) > 0; {
			k := min(n, len(b))
			if !yield(bytes.Clone(b[:k])) {
				return
			}
			b = b[k:]
		}
	}
}
