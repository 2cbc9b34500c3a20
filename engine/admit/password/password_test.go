package password

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var cheap = Cost{Memory: 64, Time: 1, Threads: 1}

// The hashes were made by others: Python's hashlib, crypt(3), openssl passwd and doveadm pw.
// The password is "secret" everywhere.
var foreign = map[string]string{
	"SSHA256":                  "{SSHA256}oBmrdHcA6OZEkkCLeXh71YAerbvhXz1qqwjrPsXmEtNzYWx0c2FsdA==",
	"bcrypt":                   "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
	"sha512":                   "{SHA512-CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
	"scram":                    "{SCRAM-SHA-256}4096,c2FsdHNhbHRzYWx0c2FsdA==,Ce3wZiZ+yIBCjltccfRiqM0+XDsLE3qPdkEeZKe3hus=,k3q4nlLsA09ST5FLo9zNmfyXR+Ci1J4KmBK5JRVSxeI=",
	"SSHA512":                  "{SSHA512}aCu7JRc+kLsuEmFs1zTY+AiP7DSGnjjG+dH28Dp+E5usqoAixeTPihKqZmkWal4mUfp63tqvCAkFV1LKTDFH6XNhbHRzYWx0",
	"SSHA512.HEX":              "{SSHA512.hex}682bbb25173e90bb2e12616cd734d8f8088fec34869e38c6f9d1f6f03a7e139bacaa8022c5e4cf8a12aa6669166a5e2651fa7adedaaf0809055752ca4c3147e973616c7473616c74",
	"doveadm SSHA512":          "{SSHA512}jipSz/9EryZA7SOMHDpxFErQVmNo41d1J5FZVHK9vT9pll2xLpmd7zLOD1waegUIKK0+Wrc1Vlj3v1p7kkvqg2kaEfE=",
	"SSHA":                     "{SSHA}1G904nLkTkGWjKNnQuB/hpWXC/hzYWx0c2FsdA==",
	"PBKDF2 of Dovecot":        "{PBKDF2}$1$y1kgtvlot2Ef7E5H$5000$0ae1f2b1f21d1de6bd93c94d22ea5831790a5d72",
	"PBKDF2 of LDAP":           "{PBKDF2}6400$c2FsdHNhbHRzYWx0c2FsdA$V0AbFjAiWIw4ZUPC.knoUTbSudM",
	"PBKDF2-SHA256":            "{PBKDF2-SHA256}6400$c2FsdHNhbHRzYWx0c2FsdA$7Pbnc1lqcRZDk4fAFehYSFVeCTgFW8esaFbx7N9WVUA",
	"PBKDF2-SHA512":            "{PBKDF2-SHA512}6400$c2FsdHNhbHRzYWx0c2FsdA$mawTOwwCdyOueYBBpPPBLXHHF1eH3C1gpmjNFjiE06rG9UwDeT0XCJ6Yq6gzaQFsgjA6c3XlZBrXGYUWhX4Dvg",
	"sha256":                   "{SHA256-CRYPT}$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
	"sha256 with rounds":       "{SHA256-CRYPT}$5$rounds=1200$saltsalt$m7ddYhQAuxB5sp48lnw6iJPCDvik/RtMkv.hRu0/Yd.",
	"yescrypt":                 "{CRYPT}$y$j9T$saltsalt$VuCHcCYYVuebTL.IxzSml3z./71e36sys.wEb95cM54",
	"yescrypt of another cost": "{YESCRYPT-CRYPT}$y$j75$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
	"crypt bcrypt":             "{CRYPT}$2y$05$zDPj864rnKnYTi0.IPt6G.e5PRSZ9fQUDWNnyS8PsPwac/.oV2av6",
	"crypt sha512":             "{CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
	"argon2i":                  "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$aXlTgdbPfd3Zd5gHRzRTtw$eehGh36kGUCkA6oDoz9s7OUMu5gma+1EiKnaHwJoIDI",
	"sha512 slow":              "{SHA512-CRYPT}$6$rounds=1500$saltsalt$34Syr0FSbWlp9hNFif0BNSVHRPxwiPh79DU920TQC0DoAPilRd9UG4mVZjASSDEENmIuJl1xJneHoAcjNgCp00",
}

func TestVerifyForeignHashes(t *testing.T) {
	for name, hash := range foreign {
		if err := Check(hash); err != nil {
			t.Errorf("%s: Check: %v", name, err)
		}
		if ok, err := Verify(hash, []byte("secret")); !ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
		if ok, err := Verify(hash, []byte("Secret")); ok || err != nil {
			t.Errorf("%s: wrong password: %v %v", name, ok, err)
		}
	}
}

// A vector of the test suite of the reference implementation of argon2.
func TestVerifyTheReferenceVector(t *testing.T) {
	hash := "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	if ok, err := Verify(hash, []byte("password")); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
}

func TestHashAndVerify(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pw := rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "password")
		hash, err := Hash(pw, cheap)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(hash); err != nil || !IsHash(hash) {
			t.Fatal(err)
		}
		if ok, err := VerifyTyped(hash, pw); !ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
		other := append([]byte{'x'}, pw...)
		if ok, err := VerifyTyped(hash, other); ok || err != nil {
			t.Fatalf("other password: %v %v", ok, err)
		}
	})
	if _, err := Hash(nil, cheap); err == nil {
		t.Error("an empty password was taken")
	}
	one, _ := Hash([]byte("x"), cheap)
	two, _ := Hash([]byte("x"), cheap)
	if one == two {
		t.Error("no salt")
	}
}

func TestVerify_Failure(t *testing.T) {
	f := func(hash, want string) {
		t.Helper()
		for _, err := range []error{second(Verify(hash, []byte("secret"))), Check(hash)} {
			if !errors.Is(err, ErrHash) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", hash, err, want)
			}
		}
	}
	f("", "empty")
	f("secret", "no {SCHEME}")
	f("{MD5}x", "unknown scheme {MD5}")
	f("{ARGON2ID}x", "not $argon2id$")
	f("{ARGON2ID}$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "out of bounds")
	f("{ARGON2ID}$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "out of bounds")
	f("{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1x$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "is not m=")
	f("{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$!$AAAAAAAAAAAAAAAAAAAAAA", "salt")
	f("{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$", "hash is not")
	f("{SSHA256}AAAA", "SSHA256")
	f("{SSHA256}*", "SSHA256")
	f("{BLF-CRYPT}$2a$31$", "BLF-CRYPT")
	f("{BLF-CRYPT}$2y$31$abcdefghijklmnopqrstuuAvjJ1kFj1lV1k1GZ6bFvCqWZbI4Kz6u", "above")
	f("{SHA512-CRYPT}$5$abc$x", "SHA512-CRYPT")
	f("{SCRAM-SHA-256}4096,c2FsdHNhbHQ=,AAAA", "is not iterations")
	f("{SCRAM-SHA-256}4095,c2FsdHNhbHQ=,AAAA,AAAA", "iterations are not")
	f("{SCRAM-SHA-256}x,c2FsdHNhbHQ=,AAAA,AAAA", "iterations are not")
	f("{SCRAM-SHA-256}4096,AAAA,AAAA,AAAA", "salt")
	f("{SCRAM-SHA-256}4096,c2FsdHNhbHQ=,AAAA,AAAA", "keys")
	f("{SHA512-CRYPT}$6$rounds=999999999$abc$"+strings.Repeat("a", 86), "rounds")
	f("{SHA512-CRYPT}$6$abc$"+strings.Repeat("a", 85), "86")
	f("{SHA512-CRYPT}$6$seventeen-letters$"+strings.Repeat("a", 86), "86")
	f("{SHA256-CRYPT}$5$rounds=999999999$abc$"+strings.Repeat("a", 43), "rounds")
	f("{SHA256-CRYPT}$5$rounds=10$abc$"+strings.Repeat("a", 43), "rounds")
	f("{SHA256-CRYPT}$6$abc$"+strings.Repeat("a", 86), "SHA256-CRYPT")
	f("{YESCRYPT-CRYPT}$y$jzz$saltsalt$"+strings.Repeat("a", 43), "out of bounds")
	f("{YESCRYPT-CRYPT}$y$.9T$saltsalt$"+strings.Repeat("a", 43), "$y$j")
	f("{YESCRYPT-CRYPT}$y$j9T$salt!alt$"+strings.Repeat("a", 43), "salt")
	f("{YESCRYPT-CRYPT}$y$j9T$saltsalt$"+strings.Repeat("a", 42), "digest")
	f("{CRYPT}abJnggxhB/yWI", "too weak")
	f("{CRYPT}$1$abc$"+strings.Repeat("a", 22), "too weak")
	f("{PBKDF2}$1$salt$999999999$9d0487892cf650c51cd61d0b11d60b9c5114b27e", "rounds")
	f("{PBKDF2}$1$salt$0$9d0487892cf650c51cd61d0b11d60b9c5114b27e", "rounds")
	f("{PBKDF2}$1$salt$10$9d04", "key of 16")
	f("{PBKDF2}$2$salt$10$9d0487892cf650c51cd61d0b11d60b9c5114b27e", "is not $1$")
	f("{PBKDF2-SHA256}10$c2FsdA$!", "encoding")
	f("{SSHA512}aCu7JRc+", "64 octets")
	f("{SSHA512.ROT13}aCu7JRc+", "unknown scheme {SSHA512.ROT13}")
	f("{SHA512-CRYPT.B64}JDYk", "unknown scheme")
	f("{ARGON2I}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "$argon2i$")
}

// Passwords that are longer than crypt(3) takes fit no hash, and cost nothing.
func TestLongPasswordsOfCrypt(t *testing.T) {
	long := []byte(strings.Repeat("x", 1<<20))
	for _, name := range []string{"sha256", "sha512", "yescrypt"} {
		if ok, err := Verify(foreign[name], long); ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
}

func second(_ bool, err error) error { return err }

func TestIsHash(t *testing.T) {
	for text, want := range map[string]bool{
		"{SSHA256}abc": true, "{PLAIN}x": true, "{SHA512-CRYPT}$6$": true,
		"": false, "secret": false, "{lower}x": false, "{}x": false, "{": false, "{A B}x": false,
	} {
		if got := IsHash(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A user that does not exist costs the hashes of a wrong password: were Dummy to skip
// one, its allocations (the argon2 memory) would be missing.
func TestDummyDoesTheWork(t *testing.T) {
	cost := Cost{Memory: 4096, Time: 1, Threads: 1}
	hash, _ := Hash([]byte("secret"), cost)
	hashes := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) >> 22
	}
	for typed, want := range map[string]uint64{
		"wrong": 1, "": 1, "wr\u00f6ng": 1, "wro\u0308ng": 2, "\uff57rong": 2, "wr\u00adong": 2, "wr\u00a0ng": 2,
		"wrong\ue000": 1, "\u0627\u0031": 1, "\u00ad": 1, "w\xff": 1, "e\u0301\u2168\u00a0\u00ad\uff57": 2,
	} {
		known := hashes(func() {
			if ok, err := VerifyTyped(hash, []byte(typed)); ok || err != nil {
				t.Errorf("%q: %v %v", typed, ok, err)
			}
		})
		unknown := hashes(func() { Dummy([]byte(typed), cost) })
		if known != want || unknown != want {
			t.Errorf("%q: %d hashes for a known name, %d for an unknown one, want %d", typed, known, unknown, want)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	for range b.N {
		Hash([]byte("secret"), Cost{Memory: 19 << 10, Time: 2, Threads: 1})
	}
}
