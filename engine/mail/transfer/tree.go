package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"postrider/storage"
)

// Tree is an import of many Maildirs, several at a time.
type Tree struct {
	Root    string
	Pattern *Pattern
	// Workers is how many Maildirs are read at a time. Each worker gets an Inbox of its own
	// from NewInbox, and its end calls close.
	Workers  int
	NewInbox func() (in storage.Inbox, close func(), err error)
	// Account finds the account of a Maildir: storage.ErrNotFound when there is none.
	Account func(Mailbox) (storage.Account, error)
	Journal *Journal
	// Again reads the Maildirs that the journal has too, for mail that has come since. Have
	// gives the unique-ids of an account, so that only that mail is read.
	Again bool
	Have  func(storage.AccountID) (map[string]storage.MessageID, error)
	// Change is UIDLs.Change for an account.
	Change func(account storage.AccountID, from, to string) error
	// Remove, with Again, deletes messages that came with unique-ids and are not in the
	// Maildir any more; nil: they stay.
	Remove  func(storage.AccountID, []storage.MessageID) error
	Options Options
	// Report gets a line for each thing that is skipped; may be nil.
	Report io.Writer
	// Listed is called with the number of Maildirs that were found so far, before the first
	// one is read; may be nil.
	Listed func(n int64)
	// Progress is called after each message and each Maildir, by one goroutine at a time.
	Progress func(TreeCount)
}

// TreeCount is what an import of a tree has done.
type TreeCount struct {
	Count           // messages that the store has confirmed
	Found     int64 // Maildirs
	Done      int64 // Maildirs that were imported now
	Before    int64 // Maildirs that an earlier run has imported
	NoAccount int64
	Failed    int64
}

// TreeResult is what an import of a tree did.
type TreeResult struct {
	TreeCount
	Passed []Passed // what was not imported, and what may be wrong
}

// treeRun is one import under way.
type treeRun struct {
	*Tree
	work chan Mailbox
	stop context.CancelCauseFunc
	page sync.Mutex // held to write to Report

	mu   sync.Mutex
	now  TreeCount
	told report
}

// write writes a line of the report.
func (run *treeRun) write(k *kind, name string) {
	run.page.Lock()
	defer run.page.Unlock()
	if _, err := fmt.Fprintf(run.Report, "%s: %s\n", name, k.one); err != nil {
		run.stop(fmt.Errorf("the report: %w", err))
	}
}

// ImportTree imports a tree. The result is right on an error too. What fails in one Maildir
// does not stop the others; importing again, with the same journal, goes on with what is
// missing.
func ImportTree(ctx context.Context, t *Tree) (TreeResult, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	run := &treeRun{Tree: t, work: make(chan Mailbox), stop: stop}
	var all []Mailbox
	if t.Report != nil {
		run.told.each = run.write
	}
	err := t.Pattern.walk(t.Root, &run.told, func(m Mailbox) error {
		all = append(all, m)
		if t.Listed != nil {
			t.Listed(int64(len(all)))
		}
		return ctx.Err()
	})
	if err == nil {
		run.now.Found = int64(len(all))
		err = run.all(ctx, all)
	}
	return TreeResult{run.now, run.told.list}, errors.Join(err, run.told.err())
}

// all has the workers import the Maildirs.
func (run *treeRun) all(ctx context.Context, all []Mailbox) error {
	var workers sync.WaitGroup
	for range min(run.Workers, len(all)) {
		in, closeInbox, err := run.NewInbox()
		if err != nil {
			run.stop(err)
			break
		}
		workers.Go(func() {
			defer closeInbox()
			for m := range run.work {
				run.one(ctx, in, m)
			}
		})
	}
	for _, m := range all {
		if !run.Again && run.Journal.Has(m.Path) {
			run.count(func(n *TreeCount) { n.Before++ })
			continue
		}
		select {
		case run.work <- m:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(run.work)
	workers.Wait()
	return context.Cause(ctx)
}

// count changes the counts and tells of them.
func (run *treeRun) count(f func(*TreeCount)) {
	run.mu.Lock()
	defer run.mu.Unlock()
	f(&run.now)
	if run.Progress != nil {
		run.Progress(run.now)
	}
}

// one imports a Maildir.
func (run *treeRun) one(ctx context.Context, in storage.Inbox, m Mailbox) {
	if ctx.Err() != nil {
		return
	}
	account, err := run.Account(m)
	if errors.Is(err, storage.ErrNotFound) {
		run.count(func(n *TreeCount) { n.NoAccount++; run.told.add(noAccount, m.Path) })
		return
	}
	var result Result
	if err == nil {
		result, err = run.noted(ctx, in, account, m)
	}
	run.count(func(n *TreeCount) {
		for _, p := range result.Passed {
			run.told.merge(p, m.Path)
		}
		switch {
		case err == nil:
			n.Done++
		case ctx.Err() == nil:
			n.Failed++
			run.told.add(failed, fmt.Sprintf("%s: %v", m, err))
		}
	})
	for _, all := range []error{storage.ErrFull, storage.ErrFailed, storage.ErrClosed, storage.ErrTemporary} {
		if errors.Is(err, all) {
			run.stop(err)
		}
	}
}

// noted imports a Maildir and notes it in the journal.
func (run *treeRun) noted(ctx context.Context, in storage.Inbox, account storage.Account, m Mailbox) (result Result, err error) {
	if !run.Journal.Has(m.Path) && !run.Journal.Begun(m.Path) {
		if err := run.Journal.begin(m.Path); err != nil {
			run.stop(err)
			return result, err
		}
	}
	if result, err = run.maildir(ctx, in, account, m); err != nil {
		return result, err
	}
	if err = run.Journal.end(m.Path); err != nil {
		run.stop(err)
	}
	return result, err
}

// maildir is Import for one Maildir of the tree.
func (run *treeRun) maildir(ctx context.Context, in storage.Inbox, account storage.Account, m Mailbox) (Result, error) {
	o := run.Options
	o.Format = Maildir
	again := run.Again && run.Journal.Has(m.Path)
	if o.UIDLs.Compare = !again; again || run.Journal.Begun(m.Path) {
		var err error
		if o.UIDLs.Have, err = run.Have(account.ID); err != nil {
			return Result{}, err
		}
		o.UIDLs.Change = func(from, to string) error { return run.Change(account.ID, from, to) }
	}
	var before Count
	o.Progress = func(messages, octets int64) {
		run.count(func(n *TreeCount) {
			n.Messages += messages - before.Messages
			n.Octets += octets - before.Octets
		})
		before = Count{messages, octets}
	}
	path := filepath.Join(run.Root, m.Path)
	var r report
	if run.Report != nil {
		r.each = func(k *kind, name string) { run.write(k, m.Path+": "+name) }
	}
	items, err := listMaildir(path, o, &r)
	if err != nil {
		return Result{Passed: r.list}, err
	}
	defer items.close()
	var gone []storage.MessageID
	if again {
		gone = run.gone(o.UIDLs.Have, items.paths)
	}
	result, err := importAll(ctx, in, account, items, o, &r)
	if err == nil && len(gone) > 0 {
		for range gone {
			r.add(deletedThere, m.Path)
		}
		result.Passed = r.list
		err = run.Remove(account.ID, gone)
	}
	return result, err
}

// gone are the messages that have no file any more.
func (run *treeRun) gone(have map[string]storage.MessageID, files []found) (ids []storage.MessageID) {
	if run.Remove == nil || len(have) == 0 {
		return nil
	}
	there := make(map[string]bool, 2*len(files))
	for i := range files {
		there[files[i].uidl], there[files[i].early] = true, true
	}
	for uidl, id := range have {
		if own, isID := storage.IDOfUIDL(uidl); !there[uidl] && !(isID && own == id) {
			ids = append(ids, id)
		}
	}
	return ids
}
