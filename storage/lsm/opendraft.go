package lsm

import (
	"fmt"
	"io"

	"postrider/storage"
)

// draftReader reads a draft: its sealed chunks from the disk, and the open one from
// memory.
type draftReader struct {
	message
	draft *draft
}

// OpenDraft implements storage.Drafts.
func (s *Store) OpenDraft(d storage.Draft) (storage.Message, error) {
	dr := d.(*draft)
	if dr.done || dr.store != s {
		return nil, fmt.Errorf("%w: a draft is read before it is delivered or discarded", storage.ErrInvalid)
	}
	taken := make(chan struct{})
	dr.Notify(0, func() { close(taken) })
	<-taken
	if err := s.refusal(); err != nil {
		return nil, err
	}
	return &draftReader{
		message: message{s: s, rows: s.db, id: dr.id, entry: entry{wire: dr.wire, crc: dr.crc, chunks: dr.bodyChunks(), flags: entryWireForm}},
		draft:   dr,
	}, nil
}

// Next implements storage.Message.
func (r *draftReader) Next() (piece []byte, err error) {
	defer r.s.recoverRead(&err)
	r.Close()
	if r.next < r.draft.chunks {
		return r.nextChunk()
	}
	if r.next == r.entry.chunks {
		return nil, io.EOF
	}
	piece = r.draft.buf.b[chunkHeadLen:]
	if err := r.count(piece); err != nil {
		return nil, err
	}
	r.next++
	return piece, nil
}
