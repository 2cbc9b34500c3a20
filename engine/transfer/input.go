package transfer

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postrider/codec/mbox"
	"postrider/codec/mbrain"
	"postrider/engine/entity"
	"postrider/storage"
)

// open finds the files of an import.
func open(path string, account storage.Account, o Options) (items, error) {
	if inside := filepath.Join(path, FileName(account, o)); exists(inside) {
		path = inside
	}
	switch o.Format {
	case Maildir:
		return listFiles("", filepath.Join(path, "new"), filepath.Join(path, "cur"))
	case EML:
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return &fileItems{paths: []found{{path, info.ModTime()}}}, nil
		}
		return listFiles(".eml", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		_ = f.Close()
		return nil, fmt.Errorf("%s: this is a folder without %s; name the file to import", path, FileName(account, o))
	}
	if o.Format == Mbox {
		return &mboxItems{file: f, in: mbox.NewReader(f)}, nil
	}
	return &textItems{file: f, in: mbrain.NewReader(f), domain: o.DefaultDomain}, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// mboxItems are the messages of an mbox file.
type mboxItems struct {
	file *os.File
	in   *mbox.Reader
	n    int
}

func (m *mboxItems) close() { _ = m.file.Close() }

func (m *mboxItems) next() (item, error) {
	from, err := m.in.Next()
	if err == io.EOF {
		return item{}, err
	}
	m.n++
	if err != nil {
		return item{}, fmt.Errorf("%s: message %d: %w", m.file.Name(), m.n, err)
	}
	return item{text: m.in, arrival: from.Date, where: fmt.Sprintf("%s, line %d: message %d", m.file.Name(), from.Line, m.n)}, nil
}

// textItems are the messages of a text file, plain or raw.
type textItems struct {
	file   *os.File
	in     *mbrain.Reader
	domain string
	n      int
}

func (t *textItems) close() { _ = t.file.Close() }

func (t *textItems) next() (item, error) {
	e, err := t.in.Next()
	if err == io.EOF {
		return item{}, err
	}
	t.n++
	if err != nil {
		return item{}, fmt.Errorf("%s: message %d: %w", t.file.Name(), t.n, err)
	}
	it := item{text: t.in, octets: e.Octets, arrival: e.Arrived,
		where: fmt.Sprintf("%s, line %d: message %d", t.file.Name(), e.Line, t.n)}
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

// fileItems are files with a message each.
type fileItems struct {
	paths []found
	file  *os.File // the one that was opened last
}

type found struct {
	path string
	at   time.Time
}

// listFiles finds the regular files of the folders, of which at least one has to
// be there, by time and name.
func listFiles(extension string, folders ...string) (items, error) {
	var all fileItems
	there := false
	for _, folder := range folders {
		list, err := os.ReadDir(folder)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		there = true
		for _, f := range list {
			if !wanted(f, extension) {
				continue
			}
			info, err := f.Info()
			if err != nil {
				return nil, err
			}
			all.paths = append(all.paths, found{filepath.Join(folder, f.Name()), info.ModTime()})
		}
	}
	if !there {
		return nil, fmt.Errorf("%s: %w; name the folder to import", strings.Join(folders, ", "), os.ErrNotExist)
	}
	slices.SortFunc(all.paths, func(a, b found) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(filepath.Base(a.path), filepath.Base(b.path)))
	})
	return &all, nil
}

func wanted(f fs.DirEntry, extension string) bool {
	name := f.Name()
	return f.Type().IsRegular() && name[0] != '.' && strings.EqualFold(name[max(0, len(name)-len(extension)):], extension)
}

func (f *fileItems) close() {
	if f.file != nil {
		_ = f.file.Close()
	}
}

func (f *fileItems) next() (item, error) {
	f.close()
	if len(f.paths) == 0 {
		return item{}, io.EOF
	}
	one := f.paths[0]
	f.paths = f.paths[1:]
	file, err := os.Open(one.path)
	if err != nil {
		return item{}, err
	}
	f.file = file
	info, err := file.Stat()
	if err != nil {
		return item{}, err
	}
	return item{text: file, octets: info.Size(), arrival: one.at, where: one.path}, nil
}
