package transfer

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"postrider/codec/message"
	"postrider/codec/uidlist"
	"postrider/storage"
)

// UIDLs is how an import finds the unique-ids (UIDLs) by which POP3 clients know the
// messages.
type UIDLs struct {
	// Format is Dovecot's pop3_uidl_format; nil: its default.
	Format *uidlist.Format
	// Map has unique-ids by the names of files, without flags, or in a file of many messages
	// by their numbers from 1. They go before all others.
	Map map[string]string
	// Fields takes a message's X-UIDL field, as Dovecot's pop3_reuse_xuidl does. For mbox
	// files it is always taken.
	Fields bool
	// Have has messages of the maildrop by their unique-ids: one of these is not read. nil:
	// none.
	Have map[string]storage.MessageID
	// Compare reads the messages of Have all the same: the store compares the octets. It is
	// for an import that was cut off: of two messages with the same unique-id one may be
	// missing.
	Compare bool
	// Change gives a message of Have another unique-id. It is called for a file that was
	// imported when no list had it, and that a list has now; nil: not at all.
	Change func(from, to string) error
}

// The files that other servers keep in a Maildir.
const (
	dovecotList = "dovecot-uidlist"
	courierList = "courierpop3dsizelist"
)

// ownMap is the file of an export with the unique-ids of its messages.
const ownMap = "uidl.map"

// listed is what a list has about a file of a Maildir.
type listed struct {
	rank uint64 // place in the order, from 1
	uidl string // "": it has to be made
	kept bool   // Dovecot has it from another server
}

// readLists reads the list of a Maildir: Dovecot's, else Courier's. A list that is there
// and can't be understood is an error: without it clients would fetch everything again.
func readLists(maildir string, o Options, r *report) (map[string]listed, error) {
	known, err := readList(filepath.Join(maildir, dovecotList), func(f *os.File) (map[string]listed, int, error) {
		d, err := uidlist.ReadDovecot(f)
		if err != nil {
			return nil, 0, err
		}
		return ofDovecot(d, o.UIDLs.Format), d.Wrong, nil
	}, r)
	if known != nil || err != nil {
		return known, err
	}
	return readList(filepath.Join(maildir, courierList), func(f *os.File) (map[string]listed, int, error) {
		c, err := uidlist.ReadCourier(f)
		if err != nil {
			return nil, 0, err
		}
		return ofCourier(c), c.Wrong, nil
	}, r)
}

// readList reads one list; nil: it is not there.
func readList(path string, read func(*os.File) (known map[string]listed, wrong int, err error), r *report) (map[string]listed, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known, wrong, err := read(f)
	var format *uidlist.FormatError
	if errors.As(err, &format) {
		return nil, kinded{fmt.Errorf("%s: %w; without it clients would fetch all mail again: repair it, or move it away if they may", path, err), ErrData}
	}
	if wrong > 0 {
		r.add(wrongLines, fmt.Sprintf("%d in %s", wrong, path))
	}
	return known, err
}

// ofDovecot makes the unique-ids of Dovecot's messages.
func ofDovecot(d *uidlist.Dovecot, format *uidlist.Format) map[string]listed {
	if format == nil {
		format, _ = uidlist.ParseFormat(uidlist.DefaultFormat)
	}
	known := make(map[string]listed, len(d.Messages))
	for _, m := range d.Messages {
		base, _ := splitFlags(m.File)
		one := listed{rank: 1<<32 + uint64(m.UID), uidl: m.UIDL, kept: m.Kept}
		if m.Order != 0 {
			one.rank = uint64(m.Order)
		}
		guid := m.GUID
		if guid == "" {
			guid = base
		}
		switch {
		case !m.Kept:
			one.uidl = format.UIDL(uidlist.Facts{UID: m.UID, Validity: d.Validity, File: base, GUID: guid})
		case m.UIDL == "":
			one.uidl = base
		}
		known[base] = one
	}
	return known
}

func ofCourier(c *uidlist.Courier) map[string]listed {
	known := make(map[string]listed, len(c.Messages))
	for i, m := range c.Messages {
		base, _ := splitFlags(m.File)
		known[base] = listed{rank: uint64(i) + 1, uidl: m.UIDL, kept: true}
	}
	return known
}

// uidlOfFile is the unique-id of a file's message that no list has: for a file of our own
// export the message's id, for one in a Maildir what its name says, so that importing it
// again finds it. format is that of a server without a list; nil: none.
func (f *found) uidlOfFile(maildir bool, format *uidlist.Format) string {
	base, _ := splitFlags(filepath.Base(f.path))
	switch {
	case f.id != 0:
		return f.id.String()
	case !maildir:
		return ""
	case format != nil && !format.NeedsUID():
		if uidl := format.UIDL(uidlist.Facts{File: base, GUID: base}); storage.ValidUIDL(uidl) {
			return uidl
		}
	}
	if storage.ValidUIDL(base) {
		return base
	}
	sum := md5.Sum([]byte(base))
	return hex.EncodeToString(sum[:])
}

// ReadUIDLMap reads a file for UIDLs.Map.
func ReadUIDLMap(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := uidlist.ReadMap(f)
	if err != nil {
		return nil, broken(path, err)
	}
	return m, nil
}

// fieldUIDL is the X-UIDL field in the header that a message begins with; "": none.
func fieldUIDL(head []byte) string {
	f, ok := message.Find(head, "X-UIDL")
	if !ok {
		return ""
	}
	return string(bytes.Trim(f.Unfolded(), " \t"))
}

// numbered is the unique-id of message n of a file, from the map; else uidl.
func (u *UIDLs) numbered(n int, uidl string) string {
	if mapped, ok := u.Map[strconv.Itoa(n)]; ok {
		return mapped
	}
	return uidl
}

// readOwnMap reads the unique-ids that an export of ours has; nil: none.
func readOwnMap(folder string) (map[string]listed, error) {
	m, err := ReadUIDLMap(filepath.Join(folder, ownMap))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known := make(map[string]listed, len(m))
	for name, uidl := range m {
		base, _ := splitFlags(name)
		known[base] = listed{uidl: uidl, kept: true}
	}
	return known, nil
}
