package entity

import (
	"errors"
	"io"
	"net/mail"
	"time"
)

// Draft is a message to be written.
type Draft struct {
	From                  mail.Address
	To, Cc                []mail.Address
	Subject               string
	Date                  time.Time
	MessageID             string // without angle brackets
	InReplyTo, References []string
	Text                  string // UTF-8, any line ends
	// Attachments are MIME parts behind the text, or uuencoded blocks within it
	// with UU; a Draft without any is a single text/plain entity.
	Attachments []Attachment
	UU          bool
}

// Attachment is a file of a Draft. Open is called once, while the message is written.
type Attachment struct {
	Name string // as the receiver sees it
	Type string // "" : by the name's extension, else application/octet-stream
	Open func() (io.ReadCloser, error)
}

// WriteTo writes the message in plain form with CRLF, 7-bit throughout, no line
// longer than 998 octets.
func (d *Draft) WriteTo(w io.Writer) (int64, error) { return 0, errors.New("not written yet") }
