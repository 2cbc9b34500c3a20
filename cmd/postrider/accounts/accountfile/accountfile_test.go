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

func (names taken) Free(accounts []Account) ([]error, error) {
	errs := make([]error, len(accounts))
	for i, a := range accounts {
		for _, name := range names {
			switch name {
			case router.Mailbox(a.New.Name, a.New.Domain):
				errs[i] = fmt.Errorf("%s is taken", name)
			case "broken":
				return nil, errors.New("the directory is gone")
			}
		}
	}
	return errs, nil
}

func (taken) Accepts(word []byte, _, _ string) error {
	if string(word) == "refused" {
		return errors.New("the password is refused")
	}
	return nil
}

func TestRead_Success(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		file, err := Read(strings.NewReader(in), "people", taken{"gone@a.example"})
		if err != nil {
			t.Errorf("%q: %v", in, err)
			return
		}
		var got []string
		for _, a := range file.Accounts {
			got = append(got, fmt.Sprintf("%d %s %q %q", a.Line, router.Mailbox(a.New.Name, a.New.Domain), a.Password, a.New.Hash))
		}
		for _, name := range file.Locked {
			got = append(got, "locked "+name)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q:\n%s\nwant\n%s", in, strings.Join(got, "\n"), strings.Join(want, "\n"))
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
	f("alice:{PLAIN}{SSHA}x\nbob:{plain}$6$y:1000:1000::/:", `1 alice@a.example "{SSHA}x" ""`, `2 bob@a.example "$6$y" ""`)
	const sha512 = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
	f("alice:"+sha512, `1 alice@a.example "" "{SHA512-CRYPT}`+sha512+`"`)
	f("root:*:19000:0:99999:7:::\nalice:"+sha512+":19000:0:99999:7:::\ndaemon:!:19000::::::\nsvc:!"+sha512+":19000:0:99999:7:::\n",
		`2 alice@a.example "" "{SHA512-CRYPT}`+sha512+`"`, "locked root", "locked daemon", "locked svc")
}

func TestRead_Failure(t *testing.T) {
	f := func(in string, code sysexits.Code, wanted ...string) {
		t.Helper()
		file, err := Read(strings.NewReader(in), "people", taken{"gone@a.example"})
		if got, _ := sysexits.Of(err); got != code || file != nil {
			t.Errorf("%.40q: exit code %d, want %d; %v, %v", in, got, code, file, err)
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
	f("alice:refused\ngone:good\nbob:x:1000:1000::/srv/bob:/bin/sh\n", sysexits.DataErr, "people:1: the password is refused\npeople:2: gone@a.example is taken\npeople:3: ", "/etc/shadow")
	f("a:b\n"+strings.Repeat("x", maxLine+1), sysexits.IOErr, "people:2: ")
}

func TestRead_Broken(t *testing.T) {
	_, err := Read(iotest.ErrReader(errors.New("broken")), "people", taken{})
	if code, _ := sysexits.Of(err); code != sysexits.IOErr || !strings.Contains(err.Error(), "people:1: broken: nothing was added") {
		t.Error(err)
	}
	if _, err := Read(strings.NewReader("alice:secret"), "people", taken{"broken"}); err == nil || !strings.Contains(err.Error(), "the directory is gone") {
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
	file, err := Read(strings.NewReader(b.String()), "people", taken{})
	if err != nil || len(file.Accounts) != n || file.Accounts[n-1].New.Name != fmt.Sprint("user", n-1) {
		t.Errorf("%v, %v", file, err)
	}
}
