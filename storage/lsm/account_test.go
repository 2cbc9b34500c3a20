package lsm

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// rowOfFormat3 is the value of a U row as programs before format 5 wrote it.
func rowOfFormat3(a *storage.Account) []byte {
	b := binary.BigEndian.AppendUint64([]byte{1}, uint64(a.Quota))
	b = binary.BigEndian.AppendUint64(b, uint64(a.Created.UnixMilli()))
	for _, t := range []string{a.Name, a.Domain, a.Hash, a.Secret} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(t))), t...)
	}
	return b
}

// A store of format 3 opens, its accounts are as they were, and can be changed.
func TestAccountsOfFormat3AreTakenOver(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	id := accountIn(t, s, "alice")
	if err := s.SetPassword(id, "hash", "secret"); err != nil {
		t.Fatal(err)
	}
	was, err := s.Account(id)
	if err != nil {
		t.Fatal(err)
	}
	was.Quota = 12345
	var k [accountKeyLen]byte
	for key, v := range map[string][]byte{
		string(putAccountKey(&k, tagAccount, id)): rowOfFormat3(&was),
		string(keyFormat):                         {0, 0, 0, 0, 0, 0, 0, 3},
		string(domainKey(storetest.Domain)):       {1},
	} {
		if err := s.db.Set([]byte(key), v, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	if got, err := s.Account(id); err != nil || got != was {
		t.Errorf("%+v, %v; want %+v", got, err, was)
	}
	messages, access := int64(7), storage.NoLogin
	if err := s.ChangeAccount(id, storage.AccountChange{MaxMessages: &messages, Access: &access}); err != nil {
		t.Fatal(err)
	}
	was.MaxMessages, was.Access = messages, access
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	if got, err := s.Account(id); err != nil || got != was {
		t.Errorf("after the change: %+v, %v; want %+v", got, err, was)
	}
	storetest.Clean(t, s)
}

// What is set for domains, the last logins, and what a domain holds, are there after a start.
func TestDomainsAndLoginsAreLoaded(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	a, b := accountIn(t, s, "alice"), accountIn(t, s, "bob")
	at := time.UnixMilli(1_700_000_000_000)
	s.NoteLogin(a, at)
	for i := range 3 {
		if _, err := storetest.Deliver(s, storetest.Body(100, "x"), a, b); err != nil {
			t.Fatal(i, err)
		}
	}
	quota := storage.Quota{Messages: 7}
	for _, err := range []error{s.AddDomainAlias("alias.example", storetest.Domain), s.SetDomainQuota(storetest.Domain, quota), s.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s = openOn(t, fs)
	defer s.Close()
	if got, err := s.Account(a); err != nil || !got.LastLogin.Equal(at) {
		t.Errorf("%+v, %v", got, err)
	}
	if got := s.DomainSettings(); len(got) != 2 || got[0] != (storage.Domain{Name: "alias.example", AliasOf: storetest.Domain}) || got[1].Quota != quota {
		t.Errorf("%+v", got)
	}
	if _, err := storetest.Deliver(s, storetest.Body(100, "x"), a, b); err == nil {
		t.Error("the domain has 6 messages and took 2 more")
	}
	if _, err := storetest.Deliver(s, storetest.Body(100, "x"), b); err != nil {
		t.Error(err)
	}
}

// Check finds rows of the directory that fit nothing.
func TestCheckFindsRowsOfTheDirectoryThatFitNothing(t *testing.T) {
	var k [accountKeyLen]byte
	for want, row := range map[string][2][]byte{
		"a last login belongs to no account": {putAccountKey(&k, tagLogin, 99), make([]byte, 8)},
		"leads to gone.example":              {domainKey("b.example"), append([]byte{domainAlias}, "gone.example"...)},
		`the domain "c.example"`:             {domainKey("c.example"), {domainQuota, 1}},
	} {
		s := openOn(t, vfs.NewMem())
		accountIn(t, s, "alice")
		if err := s.db.Set(row[0], row[1], nil); err != nil {
			t.Fatal(err)
		}
		var found []string
		_, err := s.Check(context.Background(), func(f storage.Fault) { found = append(found, f.Text) })
		if err != nil || len(found) != 1 || !strings.Contains(found[0], want) {
			t.Errorf("%s: %q, %v", want, found, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// While the writer is busy, logins of an account leave one note for it, however many come.
func TestLoginNotesAreBounded(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	a, b := accountIn(t, s, "alice"), accountIn(t, s, "bob")
	busy, let := make(chan struct{}), make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- s.do(&call{alone: true, stage: func(*pebble.Batch) error { close(busy); <-let; return nil }})
	}()
	<-busy
	at := time.UnixMilli(1_700_000_000_000)
	for i := range 1000 {
		s.NoteLogin(a, at.Add(time.Duration(i)*time.Hour))
		s.NoteLogin(b, at)
	}
	s.queue.mu.Lock()
	waiting := len(s.queue.ops)
	s.queue.mu.Unlock()
	if waiting != 2 {
		t.Errorf("%d notes wait", waiting)
	}
	close(let)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := s.SetPassword(b, "x", ""); err != nil { // after them
		t.Fatal(err)
	}
	if got, err := s.Account(a); err != nil || !got.LastLogin.Equal(at) {
		t.Errorf("%+v, %v", got, err)
	}
	s.NoteLogin(a, at.Add(time.Hour)) // the next one is kept
	if err := s.SetPassword(b, "y", ""); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Account(a); err != nil || !got.LastLogin.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v, %v", got, err)
	}
}
