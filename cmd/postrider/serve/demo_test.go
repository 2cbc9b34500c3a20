package serve

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/engine/admit/password"
	"postrider/engine/config"
	"postrider/storage"
	"postrider/storage/lsm"
)

// demoStore is a store for --demo, with hashes that cost little.
func demoStore(t *testing.T) (storage.Store, *config.Config, func() string) {
	t.Helper()
	cfg := config.Default()
	cfg.Server.Data = filepath.Join(t.TempDir(), "data")
	cfg.Auth.Memory, cfg.Auth.Time, cfg.Auth.ScramIterations = 64<<10, 1, 4096
	store, err := lsm.Open(lsm.Options{Dir: cfg.Server.Data, Log: slog.New(slog.DiscardHandler), BallastSize: -1, CacheSize: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, cfg, func() string {
		t.Helper()
		var out strings.Builder
		if err := bootstrap(store, cfg, true, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
}

func accountOf(t *testing.T, store storage.Store, name string) storage.Account {
	t.Helper()
	at, err := store.Lookup(name, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	a, err := store.Account(at.Account)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The passwords of --demo stay over restarts, and are printed each time, until another
// one is set.
func TestDemoKeepsItsPasswords(t *testing.T) {
	store, cfg, start := demoStore(t)
	first := start()
	if again := start(); again != first {
		t.Errorf("%q after %q", again, first)
	}
	_, word, ok := strings.Cut(strings.Split(first, "\n")[0], "mbrain@localhost, password ")
	if same, err := password.Verify(accountOf(t, store, "mbrain").Hash, []byte(word)); !ok || !same || err != nil {
		t.Errorf("%q is not the password: %v", word, err)
	}
	if info, err := os.Stat(filepath.Join(cfg.Server.Data, demoFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	other, err := password.Hash([]byte("another"), cfg.HashCost())
	if err != nil {
		t.Fatal(err)
	}
	a := accountOf(t, store, "mbrain")
	if err := store.SetPassword(a.ID, other, ""); err != nil {
		t.Fatal(err)
	}
	if out := start(); strings.Contains(out, word) || !strings.Contains(out, "account passwd") || !strings.Contains(out, "jsmith@localhost, password ") {
		t.Errorf("%q", out)
	}
	if accountOf(t, store, "mbrain").Hash != other {
		t.Error("a password that the user has set was replaced")
	}
}

// Mail for the postmaster goes to a demo account, unless there is a postmaster already.
func TestDemoMakesPostmasterAnAlias(t *testing.T) {
	for _, before := range []string{"nothing", "placeholder"} {
		store, cfg, start := demoStore(t)
		if before == "placeholder" {
			if err := bootstrap(store, cfg, false, new(strings.Builder)); err != nil {
				t.Fatal(err)
			}
		}
		start()
		start()
		if at, err := store.Lookup("postmaster", "localhost"); err != nil || at.Account != 0 || !slices.Equal(at.Targets, []string{"mbrain@localhost"}) {
			t.Errorf("after %s: %+v %v", before, at, err)
		}
	}
	store, cfg, start := demoStore(t)
	if err := bootstrap(store, cfg, false, new(strings.Builder)); err != nil {
		t.Fatal(err)
	}
	a := accountOf(t, store, "postmaster")
	if err := store.SetPassword(a.ID, "x", ""); err != nil {
		t.Fatal(err)
	}
	start()
	if accountOf(t, store, "postmaster").ID != a.ID {
		t.Error("a postmaster with a password was replaced")
	}
}
