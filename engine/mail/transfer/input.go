package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"postrider/codec/mbox"
	"postrider/codec/mbrain"
	"postrider/engine/mail/entity"
	"postrider/storage"
)

// open finds the files of an import.
func open(path string, account storage.Account, o Options, r *report) (items, error) {
	if inside := filepath.Join(path, FileName(account, o)); exists(inside) {
		path = inside
	}
	switch o.Format {
	case Maildir:
		in, err := listMaildir(path, o, r)
		if err != nil {
			return nil, err
		}
		return in, nil
	case EML:
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			one := []found{{path: path, at: info.ModTime()}}
			inOrder(one, false, nil, o)
			return &fileItems{paths: one, report: r, uidls: o.UIDLs}, nil
		}
		return listEML(path, o, r)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, kinded{fmt.Errorf("%s: this is a folder without %s; name the file to import", path, FileName(account, o)), fs.ErrNotExist}
	}
	s, err := openSource(path)
	if err != nil {
		return nil, err
	}
	if o.Format == Mbox {
		return newMboxItems(s, o, r), nil
	}
	in := bufio.NewReaderSize(s.Reader, maxTop)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	return &textItems{source: s, in: mbrain.NewReader(in), domain: o.DefaultDomain, uidls: &o.UIDLs}, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// broken is the error of a file that can't be read on: its own fault, unless it is
// one of input.
func broken(name string, err error) error {
	err = fmt.Errorf("%s: %w", name, err)
	var path *fs.PathError
	if errors.As(err, &path) || errors.Is(err, ErrData) {
		return err
	}
	return kinded{err, ErrData}
}

// mboxItems are the messages of an mbox file.
type mboxItems struct {
	source *source
	in     *mbox.Reader
	text   *bufio.Reader // reads one message
	report *report
	uidls  *UIDLs
	n      int
}

func newMboxItems(s *source, o Options, r *report) *mboxItems {
	var from io.Reader = s.Reader
	if from == io.Reader(s.file) && s.size == 0 {
		from = struct{ io.Reader }{from} // hides ReadAt: only a regular file can be read at an offset
	}
	m := &mboxItems{source: s, in: mbox.NewReader(from), text: bufio.NewReaderSize(nil, maxTop), report: r, uidls: &o.UIDLs}
	m.in.Doubt = func(line int, what string) { r.add(doubtful, fmt.Sprintf("line %d %s", line, what)) }
	return m
}

func (m *mboxItems) close() { m.source.close() }

func (m *mboxItems) next() (item, error) {
	for {
		from, err := m.in.Next()
		if err == io.EOF {
			return item{}, err
		}
		if err != nil {
			return item{}, broken(m.source.name, err)
		}
		m.n++
		where := fmt.Sprintf("%s, line %d: message %d", m.source.name, from.Line, m.n)
		m.text.Reset(m.in)
		head, err := m.text.Peek(maxTop)
		if err != nil && err != io.EOF {
			return item{}, broken(m.source.name, err)
		}
		line := fmt.Sprintf("line %d", from.Line)
		t := topOf(head, false)
		it := item{text: m.text, arrival: from.Date, where: where, uidl: m.uidls.numbered(m.n, fieldUIDL(head[t.skip:]))}
		_, _ = m.text.Discard(t.skip)
		switch {
		case len(head) == t.skip:
			m.report.add(noText, line)
			continue
		case t.deleted:
			m.report.add(deleted, line)
			continue
		case !t.field && !t.blank:
			m.report.add(noHeader, line)
			it.text = io.MultiReader(strings.NewReader("Return-Path: <"+from.Sender+">\n\n"), m.text)
		}
		return it, nil
	}
}

// textItems are the messages of a text file, plain or raw.
type textItems struct {
	source *source
	in     *mbrain.Reader
	domain string
	uidls  *UIDLs
	n      int
}

func (t *textItems) close() { t.source.close() }

func (t *textItems) next() (item, error) {
	e, err := t.in.Next()
	if err == io.EOF {
		return item{}, err
	}
	t.n++
	if err != nil {
		return item{}, broken(t.source.name, err)
	}
	it := item{text: t.in, octets: e.Octets, arrival: e.Arrived, uidl: t.uidls.numbered(t.n, e.UIDL),
		where: fmt.Sprintf("%s, line %d: message %d", t.source.name, e.Line, t.n)}
	if e.Raw {
		return it, nil
	}
	header := plainHeader(wholeAddress(e.From, t.domain), wholeAddress(e.To, t.domain), e.Date, e.Subject)
	it.text = io.MultiReader(bytes.NewReader(header), t.in)
	if at, ok := entity.ReadDate(e.Date); ok {
		it.arrival = at
	}
	return it, nil
}
