package web

import (
	"context"
	"io"
	"slices"

	"postrider/engine/mail/entity"
	"postrider/storage"
)

// forwarded returns the files of the message that is forwarded: the ones chosen as
// attachments, which are read again when the message is written, and all for the form.
func (c *Client) forwarded(ctx context.Context, s *session, f *form) (as []entity.Attachment, all []keptFile, err error) {
	if f.get("of") == "" {
		return nil, nil, nil
	}
	id, err := storage.ParseMessageID(f.get("of"))
	if err != nil {
		return nil, nil, storage.ErrNotFound
	}
	b := Mailbox{Store: c.cfg.Load().Store, Account: s.account.ID}
	m, err := b.open(id)
	if err != nil {
		return nil, nil, err
	}
	defer m.Close()
	l, err := read(ctx, storage.NewPlain(m), nil)
	if err != nil {
		return nil, nil, err
	}
	for _, file := range l.files {
		on := slices.Contains(f.values["part"], file.Path)
		all = append(all, keptFile{"part", file.Path, file.Name, file.Octets, on})
		if on {
			as = append(as, entity.Attachment{Name: file.Name, Type: file.Type, Open: func() (io.ReadCloser, error) { return b.openPart(id, file.Path) }})
		}
	}
	return as, all, nil
}

// openPart opens a file of a message, to be read decoded: storage.ErrNotFound.
func (b Mailbox) openPart(id storage.MessageID, path string) (io.ReadCloser, error) {
	m, err := b.open(id)
	if err != nil {
		return nil, err
	}
	in, err := entity.NewReader(storage.NewPlain(m), entity.DefaultLimits)
	for err == nil {
		var leaf entity.Leaf
		var body io.Reader
		if leaf, body, err = in.Next(); err == nil && leaf.Path == path && isFile(leaf) {
			return openPart{body, m}, nil
		}
	}
	m.Close()
	if err == io.EOF {
		err = notThere(id)
	}
	return nil, err
}

// openPart is a file of a message that is open.
type openPart struct {
	io.Reader
	m *opened
}

// Close lets go of the message.
func (p openPart) Close() error {
	p.m.Close()
	return nil
}
