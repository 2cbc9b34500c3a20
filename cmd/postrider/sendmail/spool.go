package sendmail

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"postrider/cmd/sysexits"
)

// spoolMemory is how much of a message is kept in memory; what is longer goes into a file.
const spoolMemory = 1 << 20

// inputSpool keeps a message until it is known where it goes. The zero value is empty.
type inputSpool struct {
	memory bytes.Buffer
	file   *os.File // has no name any more; nil: all is in memory
}

// Write implements io.Writer.
func (s *inputSpool) Write(p []byte) (int, error) {
	if s.file == nil {
		if s.memory.Len()+len(p) <= spoolMemory {
			return s.memory.Write(p)
		}
		file, err := os.CreateTemp("", "sendmail-")
		if err != nil {
			return 0, fmt.Errorf("the message can't be kept: %w", err)
		}
		s.file = file
		if err := os.Remove(file.Name()); err != nil {
			return 0, err
		}
		if _, err := s.memory.WriteTo(file); err != nil {
			return 0, fmt.Errorf("the message can't be kept: %w", err)
		}
	}
	return s.file.Write(p)
}

// reader reads the message from its beginning.
func (s *inputSpool) reader() (io.ReadSeeker, error) {
	if s.file == nil {
		return bytes.NewReader(s.memory.Bytes()), nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return s.file, err
}

// close forgets the message.
func (s *inputSpool) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}

// spooled reads in to its end, at most limit octets of it; 0: no limit.
func spooled(in io.Reader, limit int64) (*inputSpool, error) {
	if limit > 0 {
		in = io.LimitReader(in, limit)
	}
	s := new(inputSpool)
	if _, err := io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{in}, make([]byte, 64<<10)); err != nil {
		s.close()
		return nil, sysexits.TempFail.With(fmt.Errorf("nothing was sent: %w", err))
	}
	return s, nil
}
