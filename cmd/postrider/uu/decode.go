package uu

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/uu"
)

// decoding is a run of uudecode.
type decoding struct {
	out              string // the value of -o
	force, plainMode bool
	stdout, said     io.Writer
	files            int             // made so far
	names            map[string]bool // the names of files
}

// targetFile takes the octets of a file: a new file that gets its name when it is whole,
// or the standard output.
type targetFile struct {
	*os.File
	name   string // "": the standard output
	stdout io.Writer
}

// decode makes the files of a text.
func (d *decoding) decode(from io.Reader) error {
	var (
		decoder uu.Decoder
		to      *targetFile
		found   int
	)
	text, octets := make([]byte, 256<<10), make([]byte, 0, 256<<10)
	defer func() { to.drop() }()
	handle := func(ev uu.Event, octets []byte) (err error) {
		if to != nil {
			if _, err := to.Write(octets); err != nil {
				return sysexits.IOErr.With(fmt.Errorf("writing: %w", err))
			}
		}
		switch ev {
		case uu.Begin:
			found++
			to, err = d.begin(decoder.Header())
		case uu.End:
			err = d.end(to, decoder.Header())
			to = nil
		}
		return err
	}
	for {
		n, err := from.Read(text)
		for rest := text[:n]; len(rest) > 0; {
			var took int
			var ev uu.Event
			var wrong error
			octets, took, ev, wrong = decoder.Decode(octets[:0], rest)
			rest = rest[took:]
			if wrong != nil {
				return sysexits.DataErr.With(fmt.Errorf("%w (see --repair)", wrong))
			}
			if err := handle(ev, octets); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return sysexits.IOErr.With(fmt.Errorf("reading: %w", err))
		}
	}
	rest, ev, wrong := decoder.Close(octets[:0])
	if wrong != nil {
		return sysexits.DataErr.With(wrong)
	}
	if err := handle(ev, rest); err != nil {
		return err
	}
	if found == 0 {
		return sysexits.DataErr.With(errors.New("the text has no line \"begin MODE NAME\""))
	}
	return nil
}

// maxRepair bounds a text that is repaired, which is in memory as a whole.
const maxRepair = 256 << 20

// repair makes the files of a damaged text.
func (d *decoding) repair(from io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(from, maxRepair+1))
	if err != nil {
		return sysexits.IOErr.With(fmt.Errorf("reading: %w", err))
	}
	if len(text) > maxRepair {
		return sysexits.DataErr.With(fmt.Errorf("the text is larger than %d MiB and can't be repaired: cut out the part with the file", maxRepair>>20))
	}
	files, err := uu.Repair(text)
	if err != nil {
		return sysexits.DataErr.With(err)
	}
	for _, f := range files {
		to, err := d.begin(f.Header)
		if err != nil {
			return err
		}
		if _, err := to.Write(f.Octets); err != nil {
			to.drop()
			return sysexits.IOErr.With(fmt.Errorf("writing: %w", err))
		}
		if err := d.end(to, f.Header); err != nil {
			to.drop()
			return err
		}
		for _, what := range f.Done {
			fmt.Fprintf(d.said, "%s: %s\n", f.Header.Name, what)
		}
		for _, what := range f.Doubts {
			fmt.Fprintf(d.said, "%s: doubtful: %s\n", f.Header.Name, what)
		}
		if len(f.Doubts) == 0 {
			fmt.Fprintf(d.said, "%s: %d octets, all of them accounted for\n", f.Header.Name, len(f.Octets))
		}
	}
	return nil
}

// begin opens what the octets of a file go to.
func (d *decoding) begin(h uu.Header) (*targetFile, error) {
	if d.out == "-" || d.out == "/dev/stdout" || d.out == "" && (h.Name == "-" || h.Name == "/dev/stdout") {
		return &targetFile{stdout: d.stdout}, nil
	}
	name := d.out
	if info, err := os.Stat(d.out); d.out == "" || err == nil && info.IsDir() {
		safe := uu.SafeName(h.Name)
		if safe != h.Name {
			fmt.Fprintf(d.said, "%q is made as %q\n", h.Name, safe)
		}
		name = filepath.Join(d.out, safe)
		if d.names[name] {
			name = d.numbered(name)
			fmt.Fprintf(d.said, "another %q is made as %q\n", h.Name, name)
		}
	} else if d.files > 0 {
		return nil, sysexits.Usage.With(fmt.Errorf("a second file, %q, can't be written to %s too: use -o with a folder", h.Name, d.out))
	}
	if _, err := os.Lstat(name); err == nil && !d.force {
		return nil, sysexits.CantCreate.With(fmt.Errorf("%s exists: use --force to replace it, or -o DIR to write elsewhere", name))
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".uudecode-")
	if err != nil {
		return nil, sysexits.CantCreate.With(err)
	}
	return &targetFile{File: f, name: name}, nil
}

// numbered adds to name the first number, from 2, with which no file exists.
func (d *decoding) numbered(name string) string {
	extension := filepath.Ext(name)
	for n := 2; n < workspace.MaxNames; n++ {
		other := fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, extension), n, extension)
		if _, err := os.Lstat(other); !d.names[other] && errors.Is(err, fs.ErrNotExist) {
			return other
		}
	}
	return name
}

// Write implements io.Writer.
func (t *targetFile) Write(octets []byte) (int, error) {
	if t.File == nil {
		return t.stdout.Write(octets)
	}
	return t.File.Write(octets)
}

// end gives a whole file its name and permissions: the permissions in the text, without
// execute and special bits.
func (d *decoding) end(t *targetFile, h uu.Header) error {
	d.files++
	if t.File == nil {
		return nil
	}
	if d.names == nil {
		d.names = make(map[string]bool)
	}
	d.names[t.name] = true
	mode := fs.FileMode(0o666 &^ workspace.Umask())
	if !d.plainMode {
		mode = fs.FileMode(h.Mode & 0o666)
	}
	err := t.Chmod(mode)
	if err == nil {
		err = t.Close()
	}
	if err == nil && d.force {
		err = os.Rename(t.Name(), t.name)
	} else if err == nil {
		err = os.Link(t.Name(), t.name) // fails if there is one by now
		_ = os.Remove(t.Name())
	}
	if err != nil {
		return sysexits.CantCreate.With(err)
	}
	return nil
}

// drop removes a file that did not become whole.
func (t *targetFile) drop() {
	if t != nil && t.File != nil {
		_ = t.Close()
		_ = os.Remove(t.Name())
	}
}
