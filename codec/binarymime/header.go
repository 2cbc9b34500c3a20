package binarymime

import (
	"bytes"
	"mime"
	"strings"
)

// field is a header field that matters here.
type field uint8

const (
	otherField field = iota
	mimeVersion
	contentType
	transferEncoding
	signature // DKIM-Signature, ARC-Message-Signature
)

var fields = map[string]field{
	"mime-version": mimeVersion, "content-type": contentType, "content-transfer-encoding": transferEncoding,
	"dkim-signature": signature, "arc-message-signature": signature,
}

// head is the parsed header of a part.
type head struct {
	has       [signature + 1]bool
	mediaType string // in lower case; "": nothing that can be read
	boundary  string
	encoding  encoding
	inDigest  bool // the part is in a digest: without a type of its own it is a message
}

// encoding is a Content-Transfer-Encoding.
type encoding uint8

const (
	notSaid encoding = iota
	sevenBit
	eightBit
	binary
	base64Encoding
	quotedPrintable
	unknownEncoding
)

var encodings = map[string]encoding{
	"": notSaid, "7bit": sevenBit, "8bit": eightBit, "binary": binary, "base64": base64Encoding, "quoted-printable": quotedPrintable,
}

// identity reports whether the body has no encoding: its octets are the content.
func (e encoding) identity() bool { return e <= binary }

func (h *head) digest() bool { return h.mediaType == "multipart/digest" }

func (h *head) isMultipart() bool {
	return strings.HasPrefix(h.mediaType, "multipart/") && h.encoding.identity()
}

func (h *head) isMessage() bool {
	isMessage := h.mediaType == "message/rfc822" || h.mediaType == "message/global" || h.inDigest && !h.has[contentType]
	return isMessage && h.encoding.identity()
}

// set takes the value of a field that was read. The first of a kind counts.
func (h *head) set(f field, value []byte) {
	if h.has[f] {
		return
	}
	h.has[f] = true
	text := strings.TrimSpace(strings.Map(blankControl, string(value)))
	switch f {
	case contentType:
		h.mediaType, h.boundary = parseType(text)
	case transferEncoding:
		word, _, _ := strings.Cut(strings.ToLower(text), "(")
		e, known := encodings[strings.TrimSpace(word)]
		if !known {
			e = unknownEncoding
		}
		h.encoding = e
	}
}

func blankControl(r rune) rune {
	if r == 0 || r == '\r' || r == '\n' {
		return ' '
	}
	return r
}

// parseType reads a Content-Type: with the library, and what that can't read as most
// mail readers do.
func parseType(text string) (mediaType, boundary string) {
	mediaType, params, err := mime.ParseMediaType(text)
	boundary = params["boundary"]
	if err != nil {
		word, rest, _ := strings.Cut(text, ";")
		mediaType = strings.ToLower(strings.TrimSpace(word))
		boundary = lenientBoundary(rest)
	}
	boundary = strings.TrimRight(boundary, " \t")
	if len(boundary) > maxBoundary {
		boundary = ""
	}
	return mediaType, boundary
}

// lenientBoundary finds the boundary among parameters.
func lenientBoundary(params string) string {
	const name = "boundary="
	i := 0
	for ; ; i++ { // strings.ToLower may change the length
		if len(params)-i < len(name) {
			return ""
		}
		if strings.EqualFold(params[i:i+len(name)], name) {
			break
		}
	}
	v := params[i+len(name):]
	if quoted, ok := strings.CutPrefix(v, `"`); ok {
		v, _, _ = strings.Cut(quoted, `"`)
		return v
	}
	v, _, _ = strings.Cut(v, ";")
	v, _, _ = strings.Cut(strings.TrimSpace(v), " ")
	return v
}

// headerStart takes octets until it is known what the line is, and returns what is left
// of src.
func (w *walker) headerStart(src []byte) []byte {
	if len(w.line) == 0 && w.any && (src[0] == ' ' || src[0] == '\t') {
		w.start = false // the field goes on
		return src
	}
	for i, c := range src {
		w.line = append(w.line, c)
		n := len(w.line)
		switch {
		case c == '\n' && (n == 1 || n == 2 && w.line[0] == '\r'):
			w.line = w.line[:0]
			w.endHeader(true)
		case c == '\n', n == maxDelimiter:
			w.decide(c == '\n')
		case bytes.HasPrefix(w.line, dashes[:min(n, 2)]) && w.delimited():
			continue // all of the line tells
		case c == ':' || n > maxName || !isNameOctet(c) && c != ' ' && c != '\t' && !(c == '\r' && n == 1):
			w.decide(false)
		default:
			continue
		}
		return src[i+1:]
	}
	return nil
}

// isNameOctet reports whether c may be in the name of a field (RFC 5322 section 2.2).
func isNameOctet(c byte) bool { return c > ' ' && c < 0x7f && c != ':' }

// isField reports whether line begins with the name of a field and a colon.
func isField(line []byte) bool {
	i := bytes.IndexByte(line, ':')
	if i <= 0 || i > maxName {
		return false
	}
	name := bytes.TrimRight(line[:i], " \t")
	for _, c := range name {
		if !isNameOctet(c) {
			return false
		}
	}
	return len(name) > 0
}

// beginField begins a field with the start of its line.
func (w *walker) beginField(line []byte) {
	w.endField()
	i := bytes.IndexByte(line, ':')
	name := bytes.TrimRight(line[:i], " \t")
	w.now, w.any = fields[strings.ToLower(string(name))], true
	w.start = false
	w.h.field(w.now)
	w.h.headerText(line[:i+1])
	w.headerLine(line[i+1:])
}

// endField takes the value of the field that has ended.
func (w *walker) endField() {
	if w.now != otherField {
		w.top().head.set(w.now, w.value)
	}
	w.now, w.value = otherField, w.value[:0]
}

// headerLine takes octets of a header line and returns what is left of src.
func (w *walker) headerLine(src []byte) []byte {
	if len(src) == 0 {
		return nil
	}
	if w.cr && src[0] != '\n' {
		w.flushCR()
	}
	text, rest, ended := bytes.Cut(src, []byte{'\n'})
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text, w.cr = text[:n-1], true
	}
	w.headerText(text)
	if !ended {
		return nil
	}
	w.cr, w.start = false, true
	w.h.headerLineEnd()
	return rest
}

func (w *walker) headerText(text []byte) {
	if len(text) == 0 {
		return
	}
	if w.now != otherField {
		w.value = append(w.value, text[:min(len(text), maxValue-len(w.value))]...)
	}
	w.h.headerText(text)
}

// flushCR lets a CR go that ended no line.
func (w *walker) flushCR() {
	if w.cr {
		w.cr = false
		w.headerText([]byte{'\r'})
	}
}

// endHeader ends the header. blank: a body follows.
func (w *walker) endHeader(blank bool) {
	w.endField()
	f := w.top()
	w.inHeader, w.start, w.held = false, true, w.held[:0]
	w.h.endHeader(&f.head, blank)
	switch {
	case !blank:
	case f.head.isMultipart():
		f.boundary = f.head.boundary
	case f.head.isMessage():
		w.begin()
	}
}
