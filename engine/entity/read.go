package entity

import (
	"errors"
	"io"
	"net/mail"
	"time"
)

// Limits bound what a message may cost its reader. A message beyond them is read up
// to there, and ErrLimit tells.
type Limits struct {
	Depth  int // of parts within parts
	Parts  int // leaves, uuencoded files included
	Header int // octets of one header
}

// DefaultLimits are far beyond what mail programs write.
var DefaultLimits = Limits{Depth: 20, Parts: 1000, Header: 1 << 20}

// ErrLimit: the message goes beyond the Limits.
var ErrLimit = errors.New("the message has more or deeper parts than are read")

// Head is what people look at of a header, in UTF-8 without control characters. What
// can't be read of it is empty, and never an error.
type Head struct {
	From, To, Cc, ReplyTo []*mail.Address
	Subject               string
	Date                  time.Time // zero: none, or not readable
	MessageID             string    // without angle brackets, as in References
	InReplyTo, References []string
}

// Leaf is a part that has no parts itself.
type Leaf struct {
	// Path numbers it within the message as IMAP does (RFC 9051 section 6.4.5.1):
	// "1", "2.1". A file uuencoded in the text of part 2 is "2u1", "2u2"...
	Path string
	Type string // "text/plain", in lower case; of a uuencoded file by its name
	// Name is what to call a file; safe (see SafeName); "" when the message gives none.
	Name      string
	ContentID string // without angle brackets
	// Attachment: it is a file for the reader rather than text of the message.
	Attachment bool
	UU         bool
}

// Walk reads the message r and calls visit for each leaf in its order. The body is
// decoded: text/* leaves that are no attachments in UTF-8 with LF, all others octet
// for octet. It holds until visit returns; what visit leaves of it is passed over.
// Reading a damaged body gives what can be decoded and then an error that wraps
// ErrDamaged and says where; visit may keep to what it got and return nil.
// An error of visit ends the walk and is returned.
func Walk(r io.Reader, l Limits, visit func(leaf Leaf, body io.Reader) error) (Head, error) {
	return Head{}, errors.New("not written yet")
}

// ErrDamaged: a body is not what its encoding says.
var ErrDamaged = errors.New("damaged")

// ReadHead reads the header of the message r, and not further than needed.
func ReadHead(r io.Reader, l Limits) (Head, error) {
	return Head{}, errors.New("not written yet")
}

// SafeName makes a file's name of whatever a message says: no folder, no control or
// format characters, no leading dot or dash, at most 120 octets of UTF-8, and not empty.
func SafeName(name string) string { return "attachment" }
