package password

import (
	"errors"
	"strings"
	"testing"
)

func TestRecognize_Success(t *testing.T) {
	f := func(rest string, kind Kind, text string) {
		t.Helper()
		if k, got, err := Recognize(rest); k != kind || got != text || err != nil {
			t.Errorf("%q: %d %q %v, want %d %q", rest, k, got, err, kind, text)
		}
	}
	for _, word := range []string{"secret", "with:colon: ", "{}", "{lower}x", "$", "$6", "$ 6 $", "x", "a:1:2", "correcthorses", "Correct:1000:horse", "0123456789abcdef", "!important", "*stars*", "p$5$q"} {
		f(word, InClear, word)
	}
	f("{PLAIN}$6$x", InClear, "$6$x")
	f("{clear}{SSHA}x:1000:1000::/srv/x:", InClear, "{SSHA}x")
	f("{Cleartext}5f4dcc3b5aa765d61d8327deb882cf99", InClear, "5f4dcc3b5aa765d61d8327deb882cf99")
	for _, after := range []string{"", ":1000:1000::/srv/x:/bin/sh", ":19000:0:99999:7:::"} {
		for name, hash := range foreign {
			f(hash+after, Hashed, hash)
			if _, text, _ := strings.Cut(hash, "}"); mcf.MatchString(text) && name != "PBKDF2 of Dovecot" {
				_, scheme, err := cryptOf(text)
				if err != nil {
					t.Error(err)
				}
				f(text+after, Hashed, "{"+scheme+"}"+text)
			}
		}
		f("$pbkdf2-sha256$6400$c2FsdHNhbHRzYWx0c2FsdA$7Pbnc1lqcRZDk4fAFehYSFVeCTgFW8esaFbx7N9WVUA"+after, Hashed,
			"{PBKDF2-SHA256}6400$c2FsdHNhbHRzYWx0c2FsdA$7Pbnc1lqcRZDk4fAFehYSFVeCTgFW8esaFbx7N9WVUA")
	}
	for _, locked := range []string{"*", "!", "!!", "!*", "!$6$saltsalt$xyz"} {
		f(locked+":19000:0:99999:7:::", Locked, "")
		f(locked+":::::::", Locked, "")
	}
}

// What looks like a hash is never taken for a password.
func TestRecognize_Failure(t *testing.T) {
	f := func(rest, want string) {
		t.Helper()
		if k, text, err := Recognize(rest); !errors.Is(err, ErrHash) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d %q %v, want %q", rest, k, text, err, want)
		}
	}
	for _, after := range []string{"", ":1000:1000::/srv/x:/bin/sh", ":19000:0:99999:7:::"} {
		f("{MD5}x"+after, "unknown scheme {MD5}")
		f("$1$abcdefgh$0123456789012345678901"+after, "begins with $1$")
		f("$apr1$abcdefgh$0123456789012345678901"+after, "{PLAIN}")
		f("$6$short"+after, "SHA512-CRYPT")
		f("$y$j9T$salt"+after, "YESCRYPT")
		f("$7$CU..../....salt$hash"+after, "begins with $7$")
		f("abJnggxhB/yWI"+after, "DES")
		f("5f4dcc3b5aa765d61d8327deb882cf99"+after, "32 hexadecimal digits")
		f("{md5-crypt}x"+after, "unknown scheme {MD5-CRYPT}")
		f("pbkdf2_sha256$600000$salt$xyz"+after, "framework")
	}
	f("*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19", "40 hexadecimal digits")
	f("*", "locked")
	f("!!", "locked")
	f("x:1000:1000:A User,,,:/srv/x:/bin/sh", "/etc/shadow")
	f("*:1000:1000::/srv/x:/bin/sh", "/etc/shadow")
	f(":19000:0:99999:7:::", "without a password")
	f("word:1000:1000::/srv/x:/bin/sh", "{PLAIN}")
	f("word:19000:0:99999:7:::", "{PLAIN}")
}

// Whatever is read: a hash can be used, and a password is what was written.
func FuzzRecognize(f *testing.F) {
	for _, hash := range foreign {
		f.Add(hash)
	}
	for _, s := range []string{"secret", "{PLAIN}x", "*:1:2:3:4:5:6:7", "$6$", "x:1:1:::", "$$", "{", "{}:", "abJnggxhB/yWI", "{SHA512.a:b}x", "{SHA512.\xc3}", "{ſHA}x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		kind, text, err := Recognize(rest)
		switch {
		case err != nil && !errors.Is(err, ErrHash):
			t.Errorf("%v is no ErrHash", err)
		case err != nil:
		case kind == Hashed && Check(text) != nil:
			t.Errorf("%q: a hash that can't be used: %v", text, Check(text))
		case kind == InClear && !strings.Contains(rest, text):
			t.Errorf("%q was read as %q", rest, text)
		case kind == InClear && text == rest && IsHash(text):
			t.Errorf("the hash %q is a password", text)
		}
	})
}

func TestRules(t *testing.T) {
	refused, err := ReadRefused(strings.NewReader("Password1\r\n\nletmein!\n"))
	if err != nil || len(refused) != 2 {
		t.Fatal(refused, err)
	}
	r := Rules{MinLength: 5, Refused: refused}
	for word, want := range map[string]string{
		"": "empty", "abcd": "4 characters", "\u00fc\u00fc\u00fc\u00fc": "4 characters", "abcde": "", "PASSWORD1": "refused passwords", "LetMeIn!": "refused passwords",
		"alice": "name of the account", "ALICE@a.example": "name of the account", "alice1": "",
	} {
		if err := r.Check([]byte(word), "alice", "a.example"); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", word, err, want)
		}
	}
	if err := new(Rules).Check([]byte("alice"), "alice", "a.example"); err != nil {
		t.Errorf("without rules: %v", err)
	}
	if _, err := ReadRefused(strings.NewReader(strings.Repeat("x", maxRefused+1))); err == nil {
		t.Error("a line without an end was read")
	}
}
