package uu

import (
	"path"
	"strings"
	"unicode"
)

// maxName is the longest name of a file, in octets.
const maxName = 120

// SafeName makes an untrusted file name safe: the last part of the name, of 120 octets
// at most, without characters that would hide the file, make it a flag or spoil a
// terminal.
func SafeName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimSpace(strings.TrimLeft(name, ".- "))
	if len(name) > maxName { // the end shows what kind of file it is
		extension := path.Ext(name)
		if len(extension) > 20 {
			extension = ""
		}
		name = strings.ToValidUTF8(name[:maxName-len(extension)], "") + extension
	}
	if name == "" {
		return "file"
	}
	return name
}
