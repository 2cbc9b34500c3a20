package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAccounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "folder", "mail.toml")
	a, err := LoadAccounts(file)
	if err != nil || len(a.Names()) != 0 {
		t.Fatalf("%+v %v", a, err)
	}
	a.Account["home"] = &Account{From: "Jane <jane@x>", User: "jane", Password: "sec\"ret\n", POP3: "pop.x:995", SMTP: "smtp.x:587"}
	if err := a.Save(file); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	again, err := LoadAccounts(file)
	if err != nil || *again.Account["home"] != *a.Account["home"] {
		t.Errorf("%+v %v", again, err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAccounts(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
}

func TestLoadAccounts_failure(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "mail.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadAccounts(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("[account.x]\npasword = \"x\"", "unknown key account.x.pasword")
	f("[account", "mail.toml")
	f(strings.Repeat("#", maxAccountsFile+1), "octets")
}

func TestPick(t *testing.T) {
	one, two := &Account{User: "one"}, &Account{User: "two"}
	f := func(a Accounts, name string, want *Account, reason string) {
		t.Helper()
		got, err := a.Pick(name)
		if got != want || (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %+v %v, want %+v %q", name, got, err, want, reason)
		}
	}
	both := map[string]*Account{"one": one, "two": two}
	f(Accounts{}, "", nil, "no account yet")
	f(Accounts{Account: map[string]*Account{"one": one}}, "", one, "")
	f(Accounts{Account: both}, "", nil, "one, two")
	f(Accounts{Account: both, Default: "two"}, "", two, "")
	f(Accounts{Account: both, Default: "two"}, "one", one, "")
	f(Accounts{Account: both}, "three", nil, "no account \"three\"")
}

func TestHosts(t *testing.T) {
	f := func(addr string, s Security, want Security, reason string) {
		t.Helper()
		h, err := (&Account{POP3: addr, POP3Security: s}).Maildrop()
		if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) || err == nil && h.Security != want {
			t.Errorf("%q %q: %+v %v, want %q %q", addr, s, h, err, want, reason)
		}
	}
	f("pop.x:995", "", TLS, "")
	f("pop.x:110", "", StartTLS, "")
	f("pop.x:995", StartTLS, StartTLS, "")
	f("pop.x:110", Clear, Clear, "")
	f("pop.x", "", "", "HOST:PORT")
	f("", "", "", "has no POP3 server")
}
