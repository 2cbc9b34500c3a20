// Package storetest holds any engine of package storage to the contract. An
// engine's test calls Run with a function that opens an empty store.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"postrider/storage"
)

// Run runs the suite. open opens a new, empty store; Run closes it.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			c.run(t, s)
			Clean(t, s)
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// cases are named after the sentences that they hold the engine to.
var cases = []struct {
	name string
	run  func(*testing.T, storage.Store)
}{
	{"TheDirectoryAnswersByExactName", directoryByExactName},
	{"AnAccountIDIsNeverGivenTwice", accountIDsAreNew},
	{"AccountsAreMadeAllOrNone", accountsAllOrNone},
	{"ProofsAreCounted", proofs},
	{"ChangesOfCredentialsAreCounted", credentialChanges},
	{"AVerifierIsAddedToItsOwnPassword", verifierAfterLogin},
	{"ARenamedAccountKeepsAllElse", renamed},
	{"AccessIsKeptAndCountsAsAChange", access},
	{"ALoginIsKeptToItsGrain", lastLogin},
	{"ADomainInUseStays", domainInUse},
	{"ADomainAliasIsAnotherName", domainAliases},
	{"AliasesStandUnderDomains", aliases},
	{"AnAliasMayNameItsAccount", copyAndForward},
	{"NamesAreFolded", folded},
	{"ListingsAreSorted", sorted},
	{"WhatHasAReceiptCanBeRead", readBack},
	{"EachMaildropHasItsOwnTrace", traces},
	{"BodiesOfAnySizeComeBackWhole", sizes},
	{"ADraftCanBeReadBeforeItIsDelivered", openDraft},
	{"IdsRise", idsRise},
	{"ADiscardedDraftLeavesNothing", discard},
	{"ADeliveryToAMissingAccountStoresNothing", missingAccount},
	{"QuotaIsKept", quota},
	{"QuotaOfMessagesIsKeptAndTold", messageQuota},
	{"QuotaOfADomainIsForAllItsMaildrops", quotaOfDomain},
	{"AMaildropHasOneSession", oneSession},
	{"AReleasedLockExpungesNothing", fenced},
	{"ARemovedAccountsSessionHasLostItsLock", removedWhileOpen},
	{"ListTellsOfMore", more},
	{"ExpungeTakesTheListedOnly", expunge},
	{"ASequenceReadsWhatOpenReads", sequences},
	{"AViewIsASnapshot", viewIsSnapshot},
	{"BrowseGoesBackFromAMessage", browse},
	{"AUniqueIDIsOfOneMessage", uidls},
	{"AMessageGetsAnotherUniqueID", otherUIDLs},
	{"AUniqueIDLikeAnIDIsNeverGivenTwice", uidlsLikeIDs},
	{"UniqueIDsHaveTheFormOfRFC1939", uidlsOfAnyForm},
	{"UniqueIDsAtOnceAreGivenOnce", uidlsAtOnce},
	{"AUniqueIDCanBeChanged", uidlChanged},
	{"AnOperatorRemovesMessages", removed},
	{"RemovingAnAccountKeepsOthersMail", removeAccount},
	{"DeletedMailComesBackAsItWas", deletedComesBack},
	{"AnUndeletedMessageHasAUniqueIDOfItsOwn", undeletedUIDLs},
	{"DeletedMailGoesWhenItsTimeIsOver", purgedInTime},
	{"AQuotaDoesNotCountWhatIsDeleted", keptAndQuota},
	{"ARemovedAccountComesBackAsItWas", removedComesBack},
	{"ARemovedAccountComesBackUnderAnotherName", removedUnderAnotherName},
	{"ARemovedAccountGoesWhenItsTimeIsOver", removedGoes},
	{"MailExpires", mailExpires},
	{"NotifyComesWhenTheBacklogIsGone", notify},
	{"AwaitBoundsTheBacklogAndEndsWithItsContext", await},
	{"PutSaysWhatBecameOfTheMessage", put},
	{"ManyAtOnce", manyAtOnce},
	{"WhatIsQueuedComesBack", entriesComeBack},
	{"EntriesAreReadInTheOrderInWhichTheyAreDue", dueInOrder},
	{"ACursorMissesNothingAndMeetsNothingTwice", cursors},
	{"WhatIsHeldIsNeverDue", held},
	{"ASettledEntryIsGoneAndWithTheLastOwnerTheBody", settledIsGone},
	{"EntriesOfOneMessageAreSettledAtOnce", partsAtOnce},
	{"ANotificationIsStoredWithTheEndOfWhatItTellsOf", notificationIsOneStep},
	{"WhatAnOperatorMovedStaysThere", movedMeanwhile},
	{"TheWatcherIsToldOfWhatIsDue", watched},
	{"FiltersLetThroughWhatTheySay", filters},
	{"ALongListingHoldsNothing", longListing},
	{"TheHistoryIsKeptUntilItIsForgotten", records},
	{"EntriesThatCannotBeStoredAreRefused", refusals},
}

// Clean fails the test for each fault that Check finds.
func Clean(t testing.TB, s storage.Store) storage.CheckSummary {
	t.Helper()
	sum, err := s.Check(context.Background(), func(f storage.Fault) {
		t.Errorf("Check: account %d, message %s: %s", f.Account, f.Message, f.Text)
	})
	if err != nil {
		t.Errorf("Check: %v", err)
	}
	return sum
}

// Domain is the domain of the suite's accounts.
const Domain = "example.org"

// Account makes an account under Domain.
func Account(t testing.TB, s storage.Store, name string) storage.AccountID {
	t.Helper()
	if !s.HostsDomain(Domain) {
		must(t, s.AddDomain(Domain))
	}
	id, err := s.AddAccount(storage.NewAccount{Name: name, Domain: Domain})
	must(t, err)
	return id
}

// Trace is the trace that Deliver gives the entry of an account.
func Trace(a storage.AccountID) []byte {
	return fmt.Appendf(nil, "Delivered-To: %d\r\n", a)
}

// Body is a body of about n octets, distinguished by mark.
func Body(n int, mark string) []byte {
	b := fmt.Appendf(make([]byte, 0, n+100), "Subject: %s\r\n\r\n", mark)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%s %d abcdefghijklmnopqrstuvwxyz\r\n", mark, i)
	}
	return b
}

// Deliver delivers body to the accounts and waits for the outcome.
func Deliver(s storage.Store, body []byte, to ...storage.AccountID) (storage.MessageID, error) {
	return DeliverDraft(s, Draft(s, body), int64(len(body)), to...)
}

// Draft begins a draft and appends body to it in uneven runs.
func Draft(s storage.Store, body []byte) storage.Draft {
	d := s.NewDraft(0)
	for n := 1; len(body) > 0; n = n*3 + 1 {
		n = min(n, len(body))
		d.Append(body[:n])
		body = body[n:]
	}
	return d
}

// DeliverDraft delivers a draft and waits for the outcome.
func DeliverDraft(s storage.Store, d storage.Draft, size int64, to ...storage.AccountID) (storage.MessageID, error) {
	dl := &storage.Delivery{Draft: d, Arrival: arrival, Size: size}
	for _, a := range to {
		dl.Recipients = append(dl.Recipients, storage.Recipient{Account: a, Trace: Trace(a)})
	}
	type outcome struct {
		id  storage.MessageID
		err error
	}
	done := make(chan outcome, 2)
	dl.Done = func(d2 *storage.Delivery, r storage.Receipt, err error) {
		if d2 != dl || (err == nil) != (r.ID() == d.ID()) {
			err = fmt.Errorf("BUG: Done with receipt %s for draft %s, %w", r.ID(), d.ID(), err)
		}
		done <- outcome{r.ID(), err}
	}
	s.Deliver(dl)
	o := <-done
	return o.id, o.err
}

// arrival is when the suite's messages arrive.
var arrival = time.UnixMilli(1_700_000_000_123)

// ReadAll reads a message to its end and closes it.
func ReadAll(m storage.Message) ([]byte, error) {
	defer m.Close()
	var b []byte
	for {
		p, err := m.Next()
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		if len(p) == 0 || len(p) > storage.MaxPiece {
			return b, fmt.Errorf("BUG: a piece of %d octets", len(p))
		}
		b = append(b, p...)
	}
}

// Contents reads a whole maildrop: id to body.
func Contents(t testing.TB, s storage.Store, a storage.AccountID) map[storage.MessageID][]byte {
	t.Helper()
	l, err := s.LockMaildrop(a)
	must(t, err)
	defer l.Release()
	list, err := l.List(1 << 30)
	must(t, err)
	all := make(map[storage.MessageID][]byte, list.Len())
	var last storage.MessageID
	for i := range list.Len() {
		id, octets := list.At(i)
		if id <= last {
			t.Errorf("message %s comes after %s", id, last)
		}
		last = id
		m, err := l.Open(id)
		must(t, err)
		e := m.Entry()
		if e.ID != id || e.Octets() != octets || !bytes.Equal(e.Trace, Trace(a)) {
			t.Errorf("entry %+v of message %s, %d octets listed", e, id, octets)
		}
		if all[id], err = ReadAll(m); err != nil {
			t.Errorf("message %s: %v", id, err)
		}
	}
	n, octets, err := s.Usage(a)
	must(t, err)
	if n != int64(list.Len()) || octets != list.Octets() {
		t.Errorf("Usage is %d messages of %d octets; the listing has %d of %d", n, octets, list.Len(), list.Octets())
	}
	return all
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want %v", err, kind)
	}
}

func same(t testing.TB, got, body []byte) {
	t.Helper()
	if !bytes.Equal(got, body) {
		t.Errorf("a body of %d octets came back as %d", len(body), len(got))
	}
}
