package serve

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/storage"
	"postrider/storage/lsm"
)

// The start reports mail in the placeholder for a postmaster, and nothing else.
func TestStartTellsOfThePostmastersMail(t *testing.T) {
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	cfg := config.Default()
	says := func(want bool) {
		t.Helper()
		var out strings.Builder
		if err := bootstrap(store, cfg, false, &out); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "account passwd postmaster@localhost"); got != want {
			t.Errorf("%q", out.String())
		}
	}
	says(false)
	a, err := store.Lookup("postmaster", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	draft := store.NewDraft(5)
	draft.Append([]byte("\r\nx\r\n"))
	done := make(chan error, 1)
	store.Deliver(&storage.Delivery{
		Draft: draft, Size: 5, Arrival: time.Now(), Recipients: []storage.Recipient{{Account: a.Account}},
		Done: func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err },
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	says(true)
	if err := store.SetPassword(a.Account, "x", ""); err != nil {
		t.Fatal(err)
	}
	says(false)
}
