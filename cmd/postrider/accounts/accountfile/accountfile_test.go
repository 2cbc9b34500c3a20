package accountfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"postrider/cmd/sysexits"
	"postrider/engine/admit/password"
	"postrider/engine/mail/router"
)

// taken is a directory in which some names are taken.
type taken []string

func (taken) ParseName(text string) (local, domain string, err error) {
	local, domain, err = router.ParseAddress(text, "a.example")
	if err == nil && local == "" {
		err = errors.New("no name")
	}
	return local, domain, err
}

func (names taken) Free(local, domain string) error {
	for _, name := range names {
		if name == router.Mailbox(local, domain) {
			return fmt.Errorf("%s is taken", name)
		}
	}
	return nil
}

func TestRead_Success(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		accounts, err := Read(strings.NewReader(in), "people", taken{"gone@a.example"})
		var got []string
		for _, a := range accounts {
			got = append(got, fmt.Sprintf("%d %s %q %q", a.Line, router.Mailbox(a.New.Name, a.New.Domain), a.Password, a.New.Hash))
		}
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q: %v\n%s\nwant\n%s", in, err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f("")
	f("# people\n\n \t\n\r\n#x:y\n")
	f("alice:secret", `1 alice@a.example "secret" ""`)
	f("Alice@B.Example:with:colon: \r\n\nbob:#", `1 alice@b.example "with:colon: " ""`, `3 bob@a.example "#" ""`)
	f("\"a:b\"@b.example:cd:e\n\"a b\":c", `1 "a:b"@b.example "cd:e" ""`, `2 "a b"@a.example "c" ""`)
	// A quote in a password does not belong to the name, whatever the name is.
	f("\"a:b\":c\"d\nbob:\"x:y\n\"q\\\"r:\"@b.example:\"\n", `1 "a:b"@a.example "c\"d" ""`, `2 bob@a.example "\"x:y" ""`, `3 "q\"r:"@b.example "\"" ""`)
	hash, err := password.Hash([]byte("secret"), password.Cost{Memory: 64, Time: 1, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	f("carol:"+hash+":1000:1000::/var/empty", fmt.Sprintf("1 carol@a.example \"\" %q", hash))
	f("alice:{}", `1 alice@a.example "{}" ""`) // a password that looks a little like a hash
}

func TestRead_Failure(t *testing.T) {
	f := func(in string, code sysexits.Code, wanted ...string) {
		t.Helper()
		accounts, err := Read(strings.NewReader(in), "people", taken{"gone@a.example"})
		if got, _ := sysexits.Of(err); got != code || accounts != nil {
			t.Errorf("%.40q: exit code %d, want %d; %d accounts, %v", in, got, code, len(accounts), err)
			return
		}
		for _, want := range append(wanted, "nothing was added") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.40q: no %q in\n%v", in, want, err)
			}
		}
	}
	f("alice:x\nnocolon\n\nGONE:x\ncarol:\nalice@A.example:y\n:x\n", sysexits.DataErr, "people:2: no colon", "people:4: gone@a.example is taken",
		"people:5: the password is empty", "people:6: alice@a.example is in line 1 already", "people:7: ")
	f("alice:{MD5}abc\nbob:{SSHA256}!\n", sysexits.DataErr, "people:1: ", "unknown scheme {MD5}", "people:2: ")
	f("a:b\n"+strings.Repeat("x", maxLine+1), sysexits.IOErr, "people:2: ")
}

func TestRead_Broken(t *testing.T) {
	_, err := Read(iotest.ErrReader(errors.New("broken")), "people", taken{})
	if code, _ := sysexits.Of(err); code != sysexits.IOErr || !strings.Contains(err.Error(), "people:1: broken: nothing was added") {
		t.Error(err)
	}
}

// The number of accounts is not bounded by anything but the file.
func TestManyAccounts(t *testing.T) {
	var b strings.Builder
	const n = 20_000
	for i := range n {
		fmt.Fprintf(&b, "user%d:secret\n", i)
	}
	accounts, err := Read(strings.NewReader(b.String()), "people", taken{})
	if err != nil || len(accounts) != n || accounts[n-1].New.Name != fmt.Sprint("user", n-1) {
		t.Errorf("%d accounts, %v", len(accounts), err)
	}
}
