// Command uu measures uuencode side by side with what else turns octets into text, in
// one run, and prints a table. It is a module of its own, so that what it compares
// with is nothing that postrider depends on.
//
//	cd bench/uu && go run . [ROUNDS]
//
// In memory: blocks of 32 KiB, which stay in the cache, and of 64 MiB. Programs: 64 MiB
// from a file to /dev/null, with their start; scripts without it, by their own clock. Needs sharutils, python3, perl and coreutils.
package main

import (
	"bytes"
	stdbase64 "encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/asm/base64"

	"postrider/codec/uu"
)

// The files, in whole lines of 45 octets.
const (
	small = 45 * 728
	large = 45 * 1491308
)

var alphabet = uu.Backtick

func main() {
	rounds := 3
	if len(os.Args) > 1 {
		n, err := strconv.Atoi(os.Args[1])
		if err != nil || n < 1 {
			fmt.Fprintln(os.Stderr, "usage: go run . [ROUNDS]")
			os.Exit(64)
		}
		rounds = n
	}
	if err := run(rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(rounds int) error {
	fmt.Println("| GB/s of octets, each round | encode | decode |")
	fmt.Println("|---|---:|---:|")
	for _, n := range []int{small, large} {
		for _, m := range inMemory(n) {
			var e, d []string
			for range rounds {
				e = append(e, rate(n, m.encode))
				if m.decode != nil {
					d = append(d, rate(n, m.decode))
				}
			}
			fmt.Printf("| %s, %s | %s | %s |\n", m.name, map[int]string{small: "32 KiB", large: "64 MiB"}[n], strings.Join(e, " "), strings.Join(d, " "))
		}
	}
	return programs(rounds)
}

// method is one way, in memory.
type method struct {
	name           string
	encode, decode func()
}

func noise(n int) []byte {
	octets := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(octets)
	return octets
}

func inMemory(n int) []method {
	octets := noise(n)
	text := uu.AppendEncode(uu.AppendBegin(nil, uu.Header{Name: "x"}), octets, alphabet)
	lines, copied := make([]byte, 0, len(text)), make([]byte, n)
	decoded := make([]byte, 0, n+64)
	std := make([]byte, stdbase64.StdEncoding.EncodedLen(n))
	stdbase64.StdEncoding.Encode(std, octets)
	out, back := make([]byte, len(std)), make([]byte, n+64)
	return []method{
		{"**postrider**", func() { lines = uu.AppendEncode(lines[:0], octets, alphabet) }, func() {
			var d uu.Decoder
			decoded = decoded[:0]
			for rest := text; len(rest) > 0; {
				var took int
				var err error
				if decoded, took, _, err = d.Decode(decoded, rest); err != nil {
					panic(err)
				}
				rest = rest[took:]
			}
			if len(decoded) != n {
				panic(len(decoded))
			}
		}},
		{"base64 of segmentio/asm (vectors)", func() { base64.StdEncoding.Encode(out, octets) }, func() {
			if got, err := base64.StdEncoding.Decode(back, std); err != nil || got != n {
				panic(err)
			}
		}},
		{"base64 of Go's library", func() { stdbase64.StdEncoding.Encode(out, octets) }, func() {
			if got, err := stdbase64.StdEncoding.Decode(back, std); err != nil || got != n {
				panic(err)
			}
		}},
		{"copy", func() { copy(copied, octets) }, nil},
	}
}

// rate is how many GB of n octets f does in a second, over 300 ms at least.
func rate(n int, f func()) string {
	f()
	begin, times := time.Now(), 0
	for time.Since(begin) < 300*time.Millisecond {
		f()
		times++
	}
	return fmt.Sprintf("%.2f", float64(n)*float64(times)/time.Since(begin).Seconds()/1e9)
}

const python = `
import binascii, sys, time
octets = open("octets", "rb").read()
begin = time.perf_counter()
lines = [binascii.b2a_uu(octets[at:at+45]) for at in range(0, len(octets), 45)]
between = time.perf_counter()
back = b"".join(map(binascii.a2b_uu, lines))
end = time.perf_counter()
assert back == octets
print(between - begin, end - between)`

const perl = `
use Time::HiRes "time";
open F, "<:raw", "octets"; local $/; my $octets = <F>;
my $begin = time; my $text = pack("u", $octets);
my $between = time; my $back = unpack("u", $text); my $end = time;
die unless $back eq $octets;
print $between - $begin, " ", $end - $between, "\n"`

// programs times whole programs.
func programs(rounds int) error {
	dir, err := os.MkdirTemp("", "uu")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	octets := noise(large)
	if err := os.WriteFile(filepath.Join(dir, "octets"), octets, 0o600); err != nil {
		return err
	}
	text := uu.AppendFile(nil, uu.Header{Mode: 0o600, Name: "x"}, octets, alphabet)
	if err := os.WriteFile(filepath.Join(dir, "text"), text, 0o600); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "postrider"), "./cmd/postrider")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	shell := func(script string) (time.Duration, error) {
		cmd := exec.Command("bash", "-c", script)
		cmd.Dir = dir
		var said bytes.Buffer
		cmd.Stderr = &said
		begin := time.Now()
		err := cmd.Run()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", script, err, said.String())
		}
		return time.Since(begin), err
	}
	gbs := func(d time.Duration) string { return fmt.Sprintf("%.2f", float64(large)/d.Seconds()/1e9) }
	for _, p := range []struct{ name, encode, decode string }{
		{"**postrider uuencode, uudecode**", "./postrider uuencode octets x >/dev/null", "./postrider uudecode -o /dev/stdout text >/dev/null"},
		{"uuencode, uudecode of GNU sharutils", "uuencode octets x >/dev/null", "uudecode -o /dev/stdout text >/dev/null"},
		{"base64 of GNU coreutils", "base64 octets >/dev/null", "base64 -d encoded >/dev/null"},
		{"cat, through a pipe", "cat octets | cat >/dev/null", ""},
	} {
		if _, err := shell("[ -e encoded ] || base64 octets >encoded"); err != nil {
			return err
		}
		var e, d []string
		for range rounds {
			took, err := shell(p.encode)
			if err != nil {
				return err
			}
			e = append(e, gbs(took))
			if p.decode == "" {
				continue
			}
			if took, err = shell(p.decode); err != nil {
				return err
			}
			d = append(d, gbs(took))
		}
		fmt.Printf("| %s, 64 MiB | %s | %s |\n", p.name, strings.Join(e, " "), strings.Join(d, " "))
	}
	for _, p := range []struct{ name, program, flag, script string }{
		{"Python's binascii, line by line", "python3", "-c", python}, {`Perl's pack("u")`, "perl", "-e", perl},
	} {
		var e, d []string
		for range rounds {
			cmd := exec.Command(p.program, p.flag, p.script)
			cmd.Dir = dir
			out, err := cmd.Output()
			var encode, decode float64
			if err == nil {
				_, err = fmt.Sscan(string(out), &encode, &decode)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			e = append(e, fmt.Sprintf("%.2f", large/encode/1e9))
			d = append(d, fmt.Sprintf("%.2f", large/decode/1e9))
		}
		fmt.Printf("| %s, 64 MiB | %s | %s |\n", p.name, strings.Join(e, " "), strings.Join(d, " "))
	}
	return nil
}
