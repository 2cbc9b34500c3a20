package uu

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// lengths is the longest of the files that are played through other programs, each
// length from 0 on. A line has 45 octets, so the 300 of a usual run are six lines with
// each remainder; POSTRIDER_UU_LENGTHS asks for more, one process each.
func lengths(t *testing.T) int {
	t.Helper()
	n := 300
	if env := os.Getenv("POSTRIDER_UU_LENGTHS"); env != "" {
		var err error
		if n, err = strconv.Atoi(env); err != nil {
			t.Fatalf("POSTRIDER_UU_LENGTHS: %v", err)
		}
	}
	t.Logf("files of 0 to %d octets", n)
	return n
}

// need skips a test without a program, but not in the gate, which installs it.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") == "" {
		t.Skip(program, " is not installed")
	}
}

// in runs a shell script in a folder.
func in(t *testing.T, folder, script string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{"-ec", script, "bash"}, args...)...)
	cmd.Dir = folder
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	return out
}

// octetsOf are the ones of the file of n octets.
func octetsOf(all []byte, n int) []byte { return all[len(all)-n:] }

func TestGNUReadsOurs(t *testing.T) {
	need(t, "uudecode")
	folder, all, lengths := t.TempDir(), noise(3_000_000), lengths(t)
	for n := range lengths + 2 {
		octets := octetsOf(all, n)
		if n > lengths {
			octets = all
		}
		h := Header{Mode: 0o644, Name: fmt.Sprint("file", n), Base64: n%5 == 4}
		text := AppendFile(nil, h, octets, Alphabet(n%2))
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint("text", n)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in(t, folder, "ls | grep ^text | xargs uudecode")
	for n := range lengths + 2 {
		want := octetsOf(all, n)
		if n > lengths {
			want = all
		}
		got, err := os.ReadFile(filepath.Join(folder, fmt.Sprint("file", n)))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d octets: %d came, %v", len(want), len(got), err)
		}
	}
}

func TestWeReadGNUs(t *testing.T) {
	need(t, "uuencode")
	folder, all, lengths := t.TempDir(), noise(3_000_000), lengths(t)
	if err := os.WriteFile(filepath.Join(folder, "all"), all, 0o644); err != nil { //nolint:gosec // the mode is in the text
		t.Fatal(err)
	}
	f := func(text []byte, from int, base64 bool) {
		t.Helper()
		var d Decoder
		var octets []byte
		n := from
		for len(text) > 0 {
			var took int
			var ev Event
			var err error
			octets, took, ev, err = d.Decode(octets, text)
			if err != nil {
				t.Fatal(err)
			}
			text = text[took:]
			switch ev {
			case Begin:
				octets = octets[:0]
			case End:
				if h := d.Header(); h.Name != fmt.Sprint("file", n) || h.Base64 != base64 || !bytes.Equal(octets, octetsOf(all, n)) {
					t.Fatalf("file %d: %+v, %d octets", n, h, len(octets))
				}
				n++
			}
		}
		if _, _, err := d.Close(nil); err != nil {
			t.Fatal(err)
		}
	}
	for n := range max(lengths, 150) + 1 {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint("octets", n)), octetsOf(all, n), 0o644); err != nil { //nolint:gosec // the mode is in the text
			t.Fatal(err)
		}
	}
	f(in(t, folder, "seq 0 $1 | xargs -I@ uuencode octets@ file@", fmt.Sprint(lengths)), 0, false)
	f(in(t, folder, "seq 0 150 | xargs -I@ uuencode -m octets@ file@"), 0, true)
	f(in(t, folder, "seq 0 3 | xargs -I@ uuencode -e octets@ file@"), 0, false)
	f(in(t, folder, "seq 0 3 | xargs -I@ uuencode -e -m octets@ file@"), 0, true)
	f(in(t, folder, "uuencode all file3000000"), len(all), false)
}

// binascii of Python writes and reads single lines.
func TestPython(t *testing.T) {
	need(t, "python3")
	folder, all, lengths := t.TempDir(), noise(3_000_000), lengths(t)
	if err := os.WriteFile(filepath.Join(folder, "all"), all, 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `python3 - "$@" <<'END'
import binascii, sys
every = open("all", "rb").read()
lengths = list(range(int(sys.argv[1]) + 1)) + [len(every)]
for backtick in True, False:
    with open("theirs%d" % (not backtick), "wb") as out:
        for n in lengths:
            octets = every[len(every)-n:]
            for at in range(0, n, 45):
                out.write(binascii.b2a_uu(octets[at:at+45], backtick=backtick))
    got = b"".join(binascii.a2b_uu(line) for line in open("ours%d" % (not backtick), "rb"))
    assert got == b"".join(every[len(every)-n:] for n in lengths), backtick
END`
	var ours [2][]byte
	for _, a := range []Alphabet{Backtick, Space} {
		for n := range lengths + 1 {
			ours[a] = AppendEncode(ours[a], octetsOf(all, n), a)
		}
		ours[a] = AppendEncode(ours[a], all, a)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint("ours", a)), ours[a], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in(t, folder, script, fmt.Sprint(lengths))
	for a, want := range ours {
		theirs, err := os.ReadFile(filepath.Join(folder, fmt.Sprint("theirs", a)))
		if err != nil || !bytes.Equal(theirs, want) {
			t.Fatalf("alphabet %d: %d octets, ours are %d, %v", a, len(theirs), len(want), err)
		}
	}
}
