package address

import (
	"strings"
	"testing"
)

func TestFoldDomain(t *testing.T) {
	f := func(want string, spellings ...string) {
		t.Helper()
		for _, s := range append(spellings, want) {
			if got := FoldDomain(s); got != want {
				t.Errorf("%q: got %q, want %q", s, got, want)
			}
		}
	}
	f("example.org", "Example.ORG", "EXAMPLE.org")

	f("xn--caf-dma.example", "café.example", "cafe\u0301.example", "CAFÉ.EXAMPLE", "CAFE\u0301.example", "XN--CAF-DMA.example", "café\u3002example")
	f("xn--strae-oqa.example", "straße.example", "Straße.example")
	f("xn--wgv71a.xn--zckzah", "日本.テスト")
	f("_dmarc.xn--caf-dma.example", "_DMARC.café.example")
	f("[ipv6:::1]", "[IPv6:::1]")
	f("under_score.example")
	f("", "")
	// No A-label: the letters stay, and are compared all the same.
	f("a\uff20é.example", "A\uff20É.example")
	long := strings.Repeat("é", 60) + ".example"
	f(long, strings.ToUpper(long))
	f("a\xffb", "A\xffB")
	if IsDNS(long) || !IsDNS("xn--caf-dma.example") {
		t.Error("IsDNS")
	}
}

func TestFoldLocal(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := FoldLocal(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	f("Alice", "alice")
	f("JÜRGEN", "jürgen")
	f("Zoe\u0308", "zoë")
	f("\u212Bke", "åke") // the sign of the unit
	f("a\xffB", "a\xffb")
}

func TestFoldAndKey(t *testing.T) {
	f := func(in, folded, key string) {
		t.Helper()
		if got := Fold(in); got != folded {
			t.Errorf("Fold(%q) is %q, want %q", in, got, folded)
		}
		if got := Key(in); got != key {
			t.Errorf("Key(%q) is %q, want %q", in, got, key)
		}
	}
	f("To.Ken@Café.example", "to.ken@xn--caf-dma.example", "To.Ken@xn--caf-dma.example")
	f(`"A@B"@X.example`, `"a@b"@x.example`, `"A@B"@x.example`)
	f(`"A@B"`, `"a@b"`, `"A@B"`)
	f("Postmaster", "postmaster", "Postmaster")
	f("@X.example", "@x.example", "@x.example")
	f("a@b", "a@b", "a@b")
}

func TestFoldedASCIIAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		_, _, _, _ = FoldDomain("mail.example.org"), FoldLocal("alice+tag"), Fold("alice@example.org"), Key("Alice@example.org")
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFold: folding twice changes nothing, and no domain that is not empty becomes so.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"Café.example", "xn--caf-dma.é", "İ.example", "a\u0301.b", "ß.de", "a..é", "xn--a.é", "\u200d.é", "é.xn--A", "a\u3002é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if once := FoldDomain(s); FoldDomain(once) != once || once == "" && s != "" {
			t.Fatalf("the domain %q -> %q -> %q", s, once, FoldDomain(once))
		}
		if once := FoldLocal(s); FoldLocal(once) != once {
			t.Fatalf("the local part %q -> %q -> %q", s, once, FoldLocal(once))
		}
		if once := Fold(s); Fold(once) != once {
			t.Fatalf("%q -> %q -> %q", s, once, Fold(once))
		}
	})
}
