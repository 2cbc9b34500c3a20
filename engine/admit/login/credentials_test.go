package login

import (
	"fmt"
	"testing"
	"time"

	"postrider/storage"
)

func TestCredentials(t *testing.T) {
	c := newCredentials(time.Minute, 4)
	at := time.Unix(1000, 0)
	a := storage.Account{ID: 7, Hash: "h"}
	know := func(want bool, a storage.Account, word string, at time.Time) {
		t.Helper()
		if got := c.knows(&a, []byte(word), at); got != want {
			t.Errorf("%+v %q at %v: %v", a, word, at, got)
		}
	}
	know(false, a, "word", at)
	c.remember(&a, []byte("word"), at)
	know(true, a, "word", at.Add(time.Minute-1))
	know(false, a, "word", at.Add(time.Minute))
	know(false, a, "wor", at)
	know(false, storage.Account{ID: 8, Hash: "h"}, "word", at)
	know(false, storage.Account{ID: 7, Hash: "hh"}, "word", at)
	know(false, storage.Account{ID: 7, Hash: "dh"}, "wor", at) // nothing slides from one part into the other
	for i := range 100 {
		c.remember(&a, fmt.Append(nil, i), at)
		know(true, a, fmt.Sprint(i), at)
		if n := len(c.young) + len(c.old); n > 4 {
			t.Fatalf("%d are remembered", n)
		}
	}
	know(false, a, "0", at)
	none := newCredentials(0, 4)
	none.remember(&a, []byte("word"), at)
	if none.knows(&a, []byte("word"), at) {
		t.Error("remembered for no time at all")
	}
}
