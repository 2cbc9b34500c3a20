package transfer

import (
	"fmt"
	"strings"

	"postrider/codec/mbrain"
	"postrider/storage"
)

// Format is a form of mail in files.
type Format uint8

// The formats.
const (
	Text Format = iota
	RawText
	Mbox
	Maildir
	EML
)

// ParseFormat reads a format's name: text, mbox, maildir or eml. raw is for text.
func ParseFormat(name string, raw bool) (Format, error) {
	if raw && name != "text" {
		return 0, fmt.Errorf("raw is for the format text only: %s is raw as it is", name)
	}
	switch name {
	case "text":
		if raw {
			return RawText, nil
		}
		return Text, nil
	case "mbox":
		return Mbox, nil
	case "maildir":
		return Maildir, nil
	case "eml":
		return EML, nil
	}
	return 0, fmt.Errorf("unknown format %q: expected text, mbox, maildir or eml", name)
}

// Source is where Export reads: a storage.Maildrops is one.
type Source interface {
	View(account storage.AccountID) (storage.View, error)
}

// Options are for both directions.
type Options struct {
	Format        Format
	DefaultDomain string // lower case: whose addresses and accounts need no domain
	Overwrite     bool   // Export: replace an older export
	// UIDLs is for imports.
	UIDLs UIDLs
	// Progress is called after each message, on the caller's goroutine; may be nil.
	Progress func(messages, octets int64)
}

func (o Options) progress(c Count) {
	if o.Progress != nil {
		o.Progress(c.Messages, c.Octets)
	}
}

// Count is what was copied. Octets counts the messages' octets as POP3 does.
type Count struct{ Messages, Octets int64 }

// FileName is the name under which Export puts the account's mail into its folder.
func FileName(account storage.Account, o Options) string {
	domain := account.Domain
	if domain == o.DefaultDomain {
		domain = ""
	}
	name := mbrain.FileName(account.Name, domain)
	if o.Format == Text || o.Format == RawText {
		return name
	}
	name = strings.ToLower(strings.TrimSuffix(name, mbrain.Extension))
	return name + [...]string{Mbox: ".mbox", Maildir: ".maildir", EML: ".eml"}[o.Format]
}
