package entity

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/transform"

	"postrider/codec/uu"
)

// Limits bound what a message may cost its reader.
type Limits struct {
	Depth  int // levels of parts within parts; a multipart deeper is given as a file
	Parts  int // multiparts, leaves, and uuencoded files; after them ErrLimit comes
	Header int // octets that are kept of one header
}

// DefaultLimits are far beyond what mail programs write.
var DefaultLimits = Limits{Depth: 20, Parts: 1000, Header: 256 << 10}

// ErrLimit: the message goes beyond the Limits.
var ErrLimit = errors.New("the message has more parts than are read")

// ErrDamaged: a body does not follow its encoding.
var ErrDamaged = errors.New("damaged")

// Leaf is a part that has no parts itself.
type Leaf struct {
	// Path numbers it within the message as IMAP does (RFC 9051 section 6.4.5.1):
	// "1", "2.1". A file uuencoded in the text of part 2 is "2u1", "2u2", and the
	// text after it, if there is any, is "2" once more.
	Path string
	Type string // "text/plain", in lower case; of a uuencoded file by its name
	// Name is what to call a file; safe (see uu.SafeName); "" when the message gives
	// none, see FileName.
	Name      string
	ContentID string // without angle brackets
	// Location is what an HTML part may call this one by (RFC 2557): the value of
	// Content-Location without blanks; "": it has none.
	Location string
	// Disposition is how the message wants the part shown (RFC 2183): "inline",
	// "attachment", or another word in lower case; "": not given.
	Disposition string
	// Attachment: it is a file for the reader rather than text of the message.
	Attachment bool
	// Alternative: the same content as other parts of its multipart (RFC 2046 section 5.1.4).
	Alternative bool
	UU          bool
}

// FileName is what to call the leaf as a file: its name, or one by its type.
func (l Leaf) FileName() string {
	if l.Name != "" {
		return l.Name
	}
	return "attachment" + extensionOf(l.Type)
}

// Walk reads the message r and calls visit for each leaf in its order, as Reader.Next
// gives them; an error of visit ends the walk and is returned. A body's ErrDamaged is
// visit's to return or to live with: then the walk goes on.
func Walk(r io.Reader, l Limits, visit func(leaf Leaf, body io.Reader) error) (Head, error) {
	in, err := NewReader(r, l)
	if err != nil {
		return in.Head(), err
	}
	for {
		leaf, body, err := in.Next()
		if err == io.EOF {
			return in.Head(), nil
		}
		if err != nil {
			return in.Head(), err
		}
		if err := visit(leaf, body); err != nil {
			return in.Head(), err
		}
	}
}

// Reader goes through a message. It belongs to one goroutine.
type Reader struct {
	// WholeText means that uuencoded files stay in the text that they are in.
	WholeText bool

	limits Limits
	split  splitter
	header []byte // the message's
	first  bool   // it was not looked at yet
	count  int    // leaves so far
	inner  int    // multiparts
	texts  int    // texts of the message that are not files
	broken error  // how the reader below has failed
	text   *text  // the leaf that is read, if it is text with files in it perhaps
}

// NewReader reads the header of the message r. The Reader is usable whatever the error.
func NewReader(r io.Reader, l Limits) (*Reader, error) {
	in := &Reader{limits: l, first: true}
	in.split.in = bufio.NewReaderSize(faithful{r, &in.broken}, window)
	in.split.mark()
	header, _, err := in.split.header(l.Header)
	in.header = header
	return in, err
}

// faithful remembers how reading has failed, so that the failure isn't reported as
// damage.
type faithful struct {
	in     io.Reader
	broken *error
}

func (f faithful) Read(p []byte) (int, error) {
	n, err := f.in.Read(p)
	if err != nil && err != io.EOF {
		*f.broken = err
	}
	return n, err
}

// Head is what people look at of the header.
func (r *Reader) Head() Head { return head(r.header) }

// Header is the header as it came, without the empty line. It belongs to the Reader.
func (r *Reader) Header() []byte { return r.header }

// Next returns the next leaf and its body, which is valid until the next call; what is
// left of it then is skipped. Text for people (no Attachment) is in UTF-8 with LF, everything
// else octet for octet. A body that can't be decoded gives what can, and then an error
// that wraps ErrDamaged. io.EOF: there is no other leaf.
func (r *Reader) Next() (Leaf, io.Reader, error) {
	if r.text != nil {
		leaf, body, ok, err := r.text.next()
		if err != nil {
			return Leaf{}, nil, err
		}
		if ok {
			return r.counted(leaf, body)
		}
		r.text = nil
	}
	if r.first {
		r.first = false
		if leaf, body, ok := r.enter(r.header, multipart{}); ok {
			return r.counted(leaf, body)
		}
	}
	for {
		between, err := io.ReadAll(io.LimitReader(&r.split, window))
		if err == nil {
			_, err = io.Copy(io.Discard, &r.split)
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return Leaf{}, nil, err
		}
		if !r.split.ended && r.count == 0 {
			return r.counted(Leaf{Path: "1", Type: "text/plain"}, io.MultiReader(bytes.NewReader(between), failing{errNoParts}))
		}
		if !r.split.ended {
			return Leaf{}, nil, io.EOF
		}
		leaf, body, ok, err := r.part()
		if err != nil {
			return Leaf{}, nil, err
		}
		if ok {
			return r.counted(leaf, body)
		}
	}
}

var errNoParts = fmt.Errorf("the message is %w: it has none of the parts that its header announces", ErrDamaged)

// failing is a reader that does.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (r *Reader) counted(leaf Leaf, body io.Reader) (Leaf, io.Reader, error) {
	r.count++
	if r.count+r.inner > r.limits.Parts {
		return Leaf{}, nil, ErrLimit
	}
	return leaf, body, nil
}

// part goes on after the delimiter that was met: a leaf, or not ok for a multipart, whose
// parts come next, and for the end of one.
func (r *Reader) part() (leaf Leaf, body io.Reader, ok bool, err error) {
	s := &r.split
	s.open = s.open[:s.level+1]
	s.ended, s.begin = false, true
	if s.final {
		s.open = s.open[:s.level]
		return Leaf{}, nil, false, nil
	}
	within := &s.open[s.level]
	within.count++
	if r.count+r.inner > r.limits.Parts {
		return Leaf{}, nil, false, ErrLimit // multiparts without leaves
	}
	header, _, err := s.header(r.limits.Header)
	if err != nil {
		return Leaf{}, nil, false, err
	}
	leaf, body, ok = r.enter(header, *within)
	return leaf, body, ok, nil
}

// enter begins the entity with this header, which is a part of within.
func (r *Reader) enter(header []byte, within multipart) (Leaf, io.Reader, bool) {
	path := fmt.Sprintf("%s%d", within.path, max(within.count, 1))
	kind, named := params(field(header, "Content-Type"))
	switch {
	case kind == "" && within.digest:
		kind = "message/rfc822"
	case !strings.Contains(kind, "/"), strings.HasPrefix(kind, "multipart/") && named["boundary"] == "":
		kind = "text/plain" // RFC 2045 section 5.2
	}
	if strings.HasPrefix(kind, "multipart/") && len(r.split.open) < r.limits.Depth {
		inner := multipart{
			delimiter: []byte("--" + strings.TrimRight(named["boundary"], " \t")),
			path:      path + ".",
			choice:    kind == "multipart/alternative" || within.choice,
			digest:    kind == "multipart/digest",
		}
		if len(r.split.open) == 0 {
			inner.path = ""
		}
		r.inner++
		r.split.open = append(r.split.open, inner)
		r.split.begin = true
		return Leaf{}, nil, false
	}
	r.split.begin = true
	disposition, more := params(field(header, "Content-Disposition"))
	name := more["filename"]
	if name == "" {
		name = named["name"]
	}
	leaf := Leaf{Path: path, Type: kind, ContentID: strings.Trim(field(header, "Content-ID"), "<> "), Alternative: within.choice,
		Location: strings.Join(strings.Fields(field(header, "Content-Location")), ""), Disposition: disposition}
	if name != "" {
		leaf.Name = uu.SafeName(name)
	}
	unsaid := field(header, "Content-Type") == "" && leaf.Name != "" && !strings.HasPrefix(TypeByName(leaf.Name), "text/")
	leaf.Attachment = unsaid || r.isFile(leaf, disposition, named["charset"])
	body := r.decoded(field(header, "Content-Transfer-Encoding"), path)
	if leaf.Attachment {
		return leaf, body, true
	}
	r.texts++
	if kind == "text/html" {
		return leaf, transform.NewReader(htmlToUTF8(body, named["charset"]), unixLines{}), true
	}
	body = transform.NewReader(toUTF8(body, named["charset"]), unixLines{})
	if kind == "text/plain" && word(named["format"]) == "flowed" {
		body = newFlowed(body, word(named["delsp"]) == "yes")
	}
	if r.WholeText {
		return leaf, body, true
	}
	r.text = newText(leaf, body)
	leaf, body, _, _ = r.text.next()
	return leaf, body, true
}

// word is a parameter's value that is one word.
func word(value string) string {
	return strings.ToLower(strings.TrimSpace(stripComment(value)))
}

// forPrograms are types of text that people do not read.
var forPrograms = map[string]bool{
	"text/calendar": true, "text/vcard": true, "text/x-vcard": true, "text/directory": true, "text/rtf": true, "text/rfc822-headers": true,
	"text/css": true, "text/javascript": true, "text/x-amp-html": true,
}

// isFile reports whether a leaf is a file rather than text of the message. Its disposition
// decides (RFC 2183); without one, text with a name is a file if the message has
// given a text before, which is its body then. Text of any type is read as plain text
// (RFC 2046 section 4.1.4), but as a variant of a text that was given it is a file.
func (r *Reader) isFile(leaf Leaf, disposition, label string) bool {
	common := leaf.Type == "text/plain" || leaf.Type == "text/html"
	switch {
	case !strings.HasPrefix(leaf.Type, "text/"), forPrograms[leaf.Type], disposition == "attachment":
		return true
	case common && disposition == "inline", common && leaf.Alternative:
		return false
	case !common && (leaf.Alternative && r.texts > 0 || !saysNothing(label) && decoderOf(label) == nil):
		return true
	case disposition == "inline":
		return false
	case disposition != "": // RFC 2183 section 2.8: an unknown one is an attachment
		return true
	}
	return leaf.Name != "" && r.texts > 0
}

// decoded reads the octets of a body without its transfer encoding.
func (r *Reader) decoded(encoding, path string) io.Reader {
	var octets io.Reader = &r.split
	encoding, _, _ = strings.Cut(stripComment(encoding), ";")
	switch strings.ToLower(strings.Trim(encoding, " \t\"'")) {
	case "base64":
		octets = newBase64(octets)
	case "quoted-printable":
		octets = newQuoted(octets)
	case "x-uuencode", "uuencode", "x-uue":
		octets = newUUBody(octets)
	}
	return &body{r, octets, path, 0}
}

// body reports damage, and not only the end.
type body struct {
	r    *Reader
	in   io.Reader
	path string
	done int64 // octets given
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.done += int64(n)
	if err == nil || err == io.EOF || b.r.broken != nil {
		return n, err
	}
	if err == io.ErrUnexpectedEOF && !b.r.split.ended {
		return n, fmt.Errorf("part %s is %w: the message ends within it, %d octets could be read", b.path, ErrDamaged, b.done)
	}
	return n, fmt.Errorf("part %s is %w: it can't be decoded after octet %d (%w)", b.path, ErrDamaged, b.done, err)
}
