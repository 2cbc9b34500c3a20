package login

import (
	"testing"

	"postrider/codec/sasl"
	"postrider/engine/admit/password"
	"postrider/storage"
)

// imported has an account with a hash that came without a verifier.
func (b *bed) imported(name, word string, access storage.Access) {
	b.t.Helper()
	hash, err := password.Hash([]byte(word), password.Cost{Memory: 64, Time: 1, Threads: 1})
	if err != nil {
		b.t.Fatal(err)
	}
	b.accounts.by[name] = storage.Account{ID: 9, Name: name, Domain: "test", Hash: hash, Access: access}
}

// The first good login by password makes the verifier, after its outcome; it fits the
// password, and the session goes on.
func TestTheFirstGoodLoginMakesTheVerifier(t *testing.T) {
	b := newBed(t, nil)
	b.imported("carol", "wort", storage.FullAccess)
	if got := b.judged(typed("carol", "wrong"), 0); got != Denied || storage.HasVerifier(b.accounts.by["carol"].Hash) {
		t.Errorf("a wrong password: %d, hash %s", got, b.accounts.by["carol"].Hash)
	}
	a := typed("carol", "wort")
	var o Outcome
	if _, now := b.Judge(a, func(got Outcome) {
		o = got
		clear(a.Claim.Password) // the buffer is the session's again
		if storage.HasVerifier(b.accounts.by["carol"].Hash) {
			t.Error("the client waited for the verifier")
		}
	}); now {
		t.Fatal("judged without a hash")
	}
	b.work()
	hash := b.accounts.by["carol"].Hash
	v, ok := password.SCRAM(hash)
	if o.Verdict != Granted || !ok || v.Iterations != cost.SCRAM || b.Stats.Verifiers.Load() != 1 {
		t.Fatalf("%+v, hash %s", o, hash)
	}
	if ok, err := password.Verify(hash[len(storage.PasswordOf(hash))+1:], []byte("wort")); !ok || err != nil {
		t.Errorf("the verifier doesn't fit: %v %v", ok, err)
	}
	b.accounts.changes++ // another account has changed: the session looks at its own
	if !b.StillHolds(&o.SignedIn) {
		t.Error("the session ends because of the verifier")
	}
	if got := b.judged(typed("carol", "wort"), 0); got != Granted || b.Stats.Remembered.Load() != 1 {
		t.Errorf("the password was forgotten: %d", got)
	}
	if b.Stats.Verifiers.Load() != 1 || b.accounts.by["carol"].Hash != hash {
		t.Error("a second verifier was made")
	}
}

func TestNoVerifierIsMade(t *testing.T) {
	f := func(what string, change func(*Settings), act func(b *bed)) {
		t.Helper()
		b := newBed(t, change)
		b.imported("carol", "wort", storage.FullAccess)
		act(b)
		b.judged(typed("carol", "wort"), 0)
		if b.Stats.Verifiers.Load() != 0 || storage.HasVerifier(b.accounts.by["carol"].Hash) {
			t.Errorf("%s: a verifier was made", what)
		}
	}
	f("no mechanism wants one", func(s *Settings) { s.Cost.SCRAM = 0 }, func(*bed) {})
	f("the password was changed meanwhile", func(s *Settings) {
		queue := s.Queue
		s.Queue = func(a *Attempt, last bool) bool {
			done := a.done
			a.done = func(o Outcome) {
				carol := s.Store.(*accounts).by["carol"]
				carol.Hash = "{SSHA}x"
				s.Store.(*accounts).by["carol"] = carol
				done(o)
			}
			return queue(a, last)
		}
	}, func(*bed) {})
}

// A disabled account is denied by each way to log in, remembered passwords too, and its
// sessions end.
func TestADisabledAccountIsDenied(t *testing.T) {
	for _, access := range []storage.Access{storage.NoLogin, storage.NoMail} {
		b := newBed(t, nil)
		a := typed("alice", "right")
		var in SignedIn
		b.Judge(a, func(o Outcome) { in = o.SignedIn })
		b.work()
		if len(b.accounts.noted) != 1 || b.accounts.noted[0] != 1 {
			t.Errorf("logins noted: %v", b.accounts.noted)
		}
		alice := b.accounts.by["alice"]
		alice.Access = access
		b.accounts.by["alice"] = alice
		b.accounts.changes++
		if b.StillHolds(&in) {
			t.Error("the session goes on")
		}
		for what, a := range map[string]*Attempt{"a remembered password": typed("alice", "right"), "a proof": b.proof(true), "APOP": alicesDigest()} {
			if got := b.judged(a, 0); got != Denied {
				t.Errorf("%s: verdict %d", what, got)
			}
		}
		if len(b.accounts.noted) != 1 {
			t.Errorf("logins noted: %v", b.accounts.noted)
		}
	}
}

func alicesDigest() *Attempt {
	const timestamp = "<1@mx.test>"
	return &Attempt{From: from, Protocol: POP3, Timestamp: timestamp, Claim: sasl.Claim{User: "alice", Digest: md5hex(timestamp + "right")}}
}
