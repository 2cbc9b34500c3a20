package admin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/engine/edge/conn"
	"postrider/engine/host/maillog"
	"postrider/storage"
	"postrider/storage/lsm"
)

var quiet = slog.New(slog.DiscardHandler)

// insideFake has three sessions and a dialogue of two lines; none is of the account none.
type insideFake struct{ Inside }

func (insideFake) Look(context.Context, conn.Selection, int) (v conn.Survey, err error) {
	return v, nil
}

func (insideFake) End(_ context.Context, sel conn.Selection, _ bool) (int, error) {
	if sel.Account == "none" {
		return 0, nil
	}
	return 3, nil
}

func (insideFake) Trace(_ context.Context, sel conn.Selection, each func([]conn.TraceLine) error) error {
	if sel.Account == "none" {
		return conn.ErrTraces
	}
	return errors.Join(each([]conn.TraceLine{{Session: 7, Text: "<-  220"}}), each([]conn.TraceLine{{Session: 7, Text: " -> QUIT"}}))
}

func (insideFake) TraceTo(_ context.Context, to string, each func([]conn.TraceLine) error) error {
	return each([]conn.TraceLine{{Message: "6H", Text: " -> to " + to}})
}

// Each act of an operator is a line with what was done, to what, and by which user; a
// question is none, and neither is an act that is refused.
func TestActsAreLogged(t *testing.T) {
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), BallastSize: -1, CacheSize: 8 << 20, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var b bytes.Buffer
	lines := maillog.New(&b, false, slog.LevelInfo, "mx.test")
	path := filepath.Join(t.TempDir(), "admin.sock")
	stop, err := serveAt(path, store, &relayFake{}, insideFake{}, slog.New(lines), func() Status { return Status{} })
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.AddDomain("here.test"))
	id, err := c.AddAccount(storage.NewAccount{Name: "alice", Domain: "here.test", Hash: "secret-hash"})
	must(err)
	must(c.AddAccounts([]storage.NewAccount{{Name: "bob", Domain: "here.test"}, {Name: "eve", Domain: "here.test"}}))
	must(c.SetPassword(id, "other-hash", ""))
	must(c.SetAliases([]storage.Alias{{Name: "info", Domain: "here.test", Targets: []string{"alice@here.test", "bob@here.test"}}}))
	must(c.RemoveAlias("info", "here.test"))
	if _, err := c.AddAccount(storage.NewAccount{Name: "alice", Domain: "here.test"}); err == nil {
		t.Error("alice is there twice")
	}
	if _, err := c.Account(id); err != nil {
		t.Error(err)
	}
	importThree(t, c, id)
	var ids []storage.MessageID
	must(c.EachEntry(id, func(e storage.Entry) bool { ids = append(ids, e.ID); return true }))
	must(c.Remove(id, ids[:2]))
	name, domain, octets, access := "ann", "here.test", int64(5000), storage.NoMail
	must(c.ChangeAccount(id, storage.AccountChange{Name: &name, Domain: &domain}))
	must(c.ChangeAccount(id, storage.AccountChange{Quota: &octets, Access: &access}))
	must(c.AddDomainAlias("old.test", "here.test"))
	must(c.SetDomainQuota("here.test", storage.Quota{Octets: 1 << 20, Messages: 9}))
	must(c.RemoveAccount(id))
	if _, err := c.Bounce([]storage.EntryID{{}, {}}, "too old"); err != nil {
		t.Error(err)
	}
	must(c.Flush("there.test"))
	sel := conn.Selection{IDs: []uint64{7}, Client: netip.MustParsePrefix("192.0.2.0/24"), Account: "alice", Protocol: "pop3"}
	if _, err := c.Look(sel, 10); err != nil {
		t.Error(err)
	}
	if n, err := c.End(sel, true); err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := c.End(conn.Selection{Account: "none"}, false); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	var dialogue []string
	must(c.Trace(context.Background(), conn.Selection{Account: "alice"}, "", time.Minute, func(l *conn.TraceLine) error {
		dialogue = append(dialogue, l.Text)
		return nil
	}))
	if !slices.Equal(dialogue, []string{"<-  220", " -> QUIT"}) {
		t.Errorf("%q", dialogue)
	}
	if err := c.Trace(context.Background(), conn.Selection{Account: "none"}, "", time.Minute, nil); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a trace too many: %v", err)
	}
	dialogue = nil
	must(c.Trace(context.Background(), conn.Selection{}, "there.test", time.Minute, func(l *conn.TraceLine) error {
		dialogue = append(dialogue, l.Text)
		return nil
	}))
	if !slices.Equal(dialogue, []string{" -> to there.test"}) {
		t.Errorf("%q", dialogue)
	}
	stop()
	lines.Close()
	by := ", by=" + userName(uint32(os.Geteuid()))
	var got []string
	for l := range strings.Lines(b.String()) {
		if strings.Contains(l, "hash") {
			t.Errorf("a hash is in the log: %s", l)
		}
		_, l, _ = strings.Cut(strings.TrimSpace(l), "]: ")
		got = append(got, l)
	}
	want := []string{
		"domain added: by, domain=here.test", "account added: by, account=alice@here.test", "accounts added: by, accounts=2",
		"password changed: by, account=alice@here.test", "alias set: by, alias=info@here.test, targets=2", "alias removed: by, alias=info@here.test",
		"mail imported: by, messages=3, accounts=1",
		"messages deleted: by, account=alice@here.test, messages=2",
		"account changed: by, account=alice@here.test, name=ann@here.test", "account changed: by, account=ann@here.test, quota=5000, access=no login, no mail",
		"domain alias added: by, domain=old.test, of=here.test", "domain quota set: by, domain=here.test, quota=1048576, max_messages=9",
		"account removed: by, account=ann@here.test, messages=1, size=3", "queue entries returned to their senders: by, entries=2 (too old)", "queue flushed: by, domain=there.test",
		"sessions ended: by, sessions=3, now=true, ids=[7], client=192.0.2.0/24, account=alice, protocol=pop3",
		"trace begun: by, account=alice", "trace ended: by, account=alice", "trace begun: by, account=none", "trace ended: by, account=none",
		"trace begun: by, destination=there.test", "trace ended: by, destination=there.test",
	}
	for i := range want {
		want[i] = strings.Replace(want[i], "by", by[2:], 1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// importThree imports three messages into an account.
func importThree(t *testing.T, c *Client, id storage.AccountID) {
	t.Helper()
	im, err := c.Importing(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 3)
	for range 3 {
		d := im.NewDraft(0)
		d.Append([]byte("x\r\n"))
		im.Deliver(&storage.Delivery{Draft: d, Size: 3, Recipients: []storage.Recipient{{Account: id}},
			Done: func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err }})
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	im.Close()
}
