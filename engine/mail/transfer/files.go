package transfer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"postrider/storage"
)

// fileItems are files with a message each.
type fileItems struct {
	paths  []found
	shared map[string]bool // unique-ids that more than one of them has
	report *report
	uidls  UIDLs
	source *source // the one that was opened last
	text   *bufio.Reader
}

// listMaildir finds the messages of a Maildir.
func listMaildir(path string, o Options, r *report) (*fileItems, error) {
	known, err := readLists(path, o, r)
	if err != nil {
		return nil, err
	}
	all := fileItems{report: r, uidls: o.UIDLs}
	there := false
	for _, folder := range []string{"new", "cur"} {
		list, err := os.ReadDir(filepath.Join(path, folder))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		there = true
		for _, f := range list {
			if !regular(f, r, folder) {
				continue
			}
			_, flags := splitFlags(f.Name())
			switch name := filepath.Join(folder, f.Name()); {
			case f.Name()[0] == '.', strings.HasPrefix(f.Name(), "dovecot"), f.Name() == "maildirfolder":
				r.add(others, name)
			case strings.Contains(flags, "T"):
				r.add(deleted, name)
			default:
				if err := all.add(filepath.Join(path, folder), f); err != nil {
					return nil, err
				}
			}
		}
	}
	if !there {
		return nil, fmt.Errorf("%s: it has no folder new or cur: %w; name the Maildir to import", path, fs.ErrNotExist)
	}
	inOrder(all.paths, true, known, o)
	all.share()
	return &all, besides(path, r)
}

// share finds the unique-ids that several files have, if they are to be looked for: they do
// not tell which of the messages the maildrop has.
func (f *fileItems) share() {
	if len(f.uidls.Have) == 0 {
		return
	}
	met := make(map[string]bool, len(f.paths))
	f.shared = make(map[string]bool)
	for i := range f.paths {
		if uidl := f.paths[i].uidl; met[uidl] {
			f.shared[uidl] = true
		} else {
			met[uidl] = true
		}
	}
}

// besides reports what is in a Maildir beside its messages.
func besides(path string, r *report) error {
	list, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, f := range list {
		switch name := f.Name(); {
		case name == "new" || name == "cur" || name == "tmp":
		case f.IsDir():
			r.add(folders, name)
		case f.Type()&fs.ModeSymlink != 0:
			r.add(links, name)
		}
	}
	unfinished, err := os.ReadDir(filepath.Join(path, "tmp"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, f := range unfinished {
		r.add(inTmp, f.Name())
	}
	return err
}

// listEML finds the files of messages in a folder, packed ones too.
func listEML(path string, o Options, r *report) (items, error) {
	list, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; name the file or folder to import", err)
	}
	if err != nil {
		return nil, err
	}
	known, err := readOwnMap(path)
	if err != nil {
		return nil, err
	}
	all := fileItems{report: r, uidls: o.UIDLs}
	for _, f := range list {
		if f.Name() == ownMap {
			continue
		}
		if !regular(f, r, "") {
			continue
		}
		name := strings.ToLower(f.Name())
		for _, extension := range []string{".gz", ".zst", ".bz2", ".xz"} {
			name = strings.TrimSuffix(name, extension)
		}
		if name[0] == '.' || filepath.Ext(name) != ".eml" {
			r.add(others, f.Name())
			continue
		}
		if err := all.add(path, f); err != nil {
			return nil, err
		}
	}
	inOrder(all.paths, false, known, o)
	return &all, nil
}

// regular reports whether f is a file, and reports what is none.
func regular(f fs.DirEntry, r *report, folder string) bool {
	name := filepath.Join(folder, f.Name())
	switch {
	case f.Type().IsRegular():
		return true
	case f.IsDir():
		r.add(folders, name)
	case f.Type()&fs.ModeSymlink != 0:
		r.add(links, name)
	default:
		r.add(others, name)
	}
	return false
}

func (f *fileItems) add(folder string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	f.paths = append(f.paths, found{path: filepath.Join(folder, e.Name()), at: info.ModTime()})
	return nil
}

func (f *fileItems) close() {
	if f.source != nil {
		f.source.close()
	}
	f.source = nil
}

func (f *fileItems) next() (item, error) {
	for {
		f.close()
		if len(f.paths) == 0 {
			return item{}, io.EOF
		}
		one := f.paths[0]
		f.paths = f.paths[1:]
		if there, err := f.there(one); err != nil {
			return item{}, err
		} else if there {
			continue
		}
		it, err := f.open(one)
		switch {
		case errors.Is(err, ErrData):
			f.report.add(unreadable, err.Error())
		case err != nil:
			return item{}, err
		case it.text != nil:
			return it, nil
		}
	}
}

// there reports whether the maildrop has the message, by its unique-id. A message that has
// the one of its file's name gets the one that its server has given it since.
func (f *fileItems) there(one found) (bool, error) {
	_, known := f.uidls.Have[one.uidl]
	_, early := f.uidls.Have[one.early]
	switch {
	case known && (f.uidls.Compare || f.shared[one.uidl]):
		return false, nil
	case known:
		f.report.add(present, one.path)
	case early && f.uidls.Change != nil:
		switch err := f.uidls.Change(one.early, one.uidl); {
		case errors.Is(err, storage.ErrExists), errors.Is(err, storage.ErrInvalid):
			f.report.add(otherUIDL, one.path)
		case err != nil:
			return false, fmt.Errorf("%s: %w", one.path, err)
		default:
			f.report.add(laterUIDL, one.path)
		}
	default:
		return false, nil
	}
	return true, nil
}

// open opens a file. An item without text is not a message and was reported.
func (f *fileItems) open(one found) (item, error) {
	s, err := openSource(one.path)
	if err != nil {
		return item{}, err
	}
	f.source = s
	if f.text == nil {
		f.text = bufio.NewReaderSize(nil, maxTop)
	}
	f.text.Reset(s.Reader)
	head, err := f.text.Peek(maxTop)
	if err != nil && err != io.EOF {
		return item{}, fmt.Errorf("%s: %w", one.path, err)
	}
	t := topOf(head, true)
	switch {
	case len(head) == 0:
		f.report.add(emptyFiles, one.path)
	case t.deleted:
		f.report.add(deleted, one.path)
	case !t.field:
		f.report.add(noMessages, one.path)
	default:
		it := item{text: f.text, octets: s.size, arrival: one.at, where: one.path, alone: true, uidl: one.uidl, early: one.early}
		if f.uidls.Fields && !one.kept {
			if uidl := fieldUIDL(head[t.skip:]); uidl != "" {
				it.uidl = uidl
			}
		}
		_, _ = f.text.Discard(t.skip)
		return it, nil
	}
	return item{}, nil
}
