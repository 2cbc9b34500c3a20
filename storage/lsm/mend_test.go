package lsm

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/codec/dot"
	"postrider/codec/smtp"
	"postrider/storage"
	"postrider/storage/storetest"
)

// asOlderVersion takes the mark of the wire form off all entries of an account and of the
// queue, as a version left them that did not set it.
func asOlderVersion(t *testing.T, s *Store, account storage.AccountID, domain string) {
	t.Helper()
	var k [accountKeyLen]byte
	for prefix, flags := range map[string]int{
		string(putAccountKey(&k, tagMaildrop, account)):    1,
		string(append([]byte{tagQueue}, domain+"\x00"...)): 2,
	} {
		err := scan(s.db, []byte(prefix), func(k, v []byte) (bool, error) {
			v = bytes.Clone(v)
			v[flags] &^= entryWireForm
			return true, s.db.Set(k, v, pebble.Sync)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What a version stored that kept lone dots, and BINARYMIME as it came, leaves in wire
// form by each way of reading; what it stored in wire form leaves as it is.
func TestOlderBodiesAreMended(t *testing.T) {
	filler := strings.Repeat("filler\r\n.dotted line\r\n", chunkLen/20)
	for name, stored := range map[string]string{
		"lone dots":     "Subject: a\r\n\r\n.one\r\n..two\r\n. \r\n",
		"binary":        "Subject: a\r\n\r\nA\n.\r\n+OK forged\r\n\rb\n..c\r\n",
		"in form":       "Subject: a\r\n\r\n..x\r\n",
		"two chunks":    "Subject: a\r\n\r\n" + filler,
		"cut at a dot":  strings.Repeat("x", chunkLen-3) + "\r\n.y\r\n",
		"longer mended": "Subject: a\r\n\r\n" + strings.Repeat("\n.", chunkLen/2) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := openOn(t, vfs.NewMem())
			defer s.Close()
			alice := accountIn(t, s, "alice")
			size := int64(len(dot.AppendUnstuffed(nil, []byte(stored))))
			done := make(chan error, 1)
			d := &storage.Delivery{Draft: storetest.Draft(s, []byte(stored)), Arrival: time.Now(), Size: size, Recipients: []storage.Recipient{{Account: alice, Trace: []byte("A: b\r\n")}},
				Relayed: []*storage.QueueEntry{{Domain: "far.test", Envelope: storage.Envelope{Body: smtp.BodyBinaryMIME, Front: "F: g\r\n"}, Recipients: []storage.QueuedRecipient{{ForwardPath: "r@far.test"}}}},
				Done:    func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err }}
			s.Deliver(d)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			asOlderVersion(t, s, alice, "far.test")
			var m dot.Mender
			want := string(m.End(m.Append(nil, []byte(stored))))
			isWant(t, "Open", s, alice, want, func(l storage.Lock, id storage.MessageID) (storage.Message, error) { return l.Open(id) })
			es, err := s.ReadDue("far.test", storage.Cursor{}, 1)
			if err != nil || len(es) != 1 {
				t.Fatal(len(es), err)
			}
			q, err := s.OpenQueued(es[0])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := storetest.ReadAll(q); err != nil || string(got) != "F: g\r\n"+want {
				t.Errorf("queued: %.200q, %v", got, err)
			}
			if _, err := s.Check(t.Context(), func(f storage.Fault) { t.Error(f) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// isWant reads the one message of a maildrop, also as a sequence, which has to leave it to
// Open.
func isWant(t *testing.T, how string, s *Store, a storage.AccountID, want string, open func(storage.Lock, storage.MessageID) (storage.Message, error)) {
	t.Helper()
	l, err := s.LockMaildrop(a)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	list, err := l.List(10)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := list.At(0)
	m, err := open(l, id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := storetest.ReadAll(m); err != nil || string(got) != want {
		t.Errorf("%s: %.200q, %v; want %.200q", how, got, err, want)
	}
	seq, err := l.Sequence()
	if err != nil {
		t.Fatal(err)
	}
	defer seq.Close()
	if got, _, err := seq.Append(slices.Grow([]byte(nil), 4*chunkLen), id); err != io.ErrShortBuffer {
		t.Errorf("a sequence gave %.200q, %v", got, err)
	}
}
