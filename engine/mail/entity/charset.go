package entity

import (
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// Labels of charsets are as in the WHATWG Encoding Standard, as browsers and mail
// programs read them: iso-8859-1 and us-ascii are Windows-1252, gb2312 is GBK,
// ks_c_5601-1987 is code page 949. To them come names that programs write into mail and
// the standard lacks, and then IANA's.

// aliases are labels that the Encoding Standard lacks, or reads for the web and not for
// mail.
var aliases = map[string]encoding.Encoding{
	"cp932": japanese.ShiftJIS, "ms932": japanese.ShiftJIS, "cp943": japanese.ShiftJIS, "mskanji": japanese.ShiftJIS,
	"eucjp": japanese.EUCJP, "ujis": japanese.EUCJP, "cp51932": japanese.EUCJP, "eucjpms": japanese.EUCJP, "eucjpwin": japanese.EUCJP,
	"iso2022jp": japanese.ISO2022JP, "iso2022jpms": japanese.ISO2022JP, "iso2022jp1": japanese.ISO2022JP, "iso2022jp2": japanese.ISO2022JP,
	"iso2022jp3": japanese.ISO2022JP, "jis": japanese.ISO2022JP, "cp50220": japanese.ISO2022JP, "cp50221": japanese.ISO2022JP, "cp50222": japanese.ISO2022JP,
	"cp949": korean.EUCKR, "ms949": korean.EUCKR, "uhc": korean.EUCKR, "euckr": korean.EUCKR, "ksc56011987": korean.EUCKR, "ksx1001": korean.EUCKR,
	"cp936": simplifiedchinese.GBK, "ms936": simplifiedchinese.GBK, "euccn": simplifiedchinese.GBK, "cp54936": simplifiedchinese.GB18030,
	"gb180302000": simplifiedchinese.GB18030, "gb18030": simplifiedchinese.GB18030, "gb2312": simplifiedchinese.GBK, "gbk": simplifiedchinese.GBK,
	"hzgb2312": simplifiedchinese.HZGB2312, "hz": simplifiedchinese.HZGB2312,
	"cp950": traditionalchinese.Big5, "ms950": traditionalchinese.Big5, "big5hkscs": traditionalchinese.Big5, "big5": traditionalchinese.Big5,
	"utf8": unicode.UTF8, "utf8mb4": unicode.UTF8, "utf8mb3": unicode.UTF8, "unicode11utf8": unicode.UTF8, "cp65001": unicode.UTF8,
	"utf16":   unicode.UTF16(unicode.BigEndian, unicode.UseBOM), // RFC 2781 section 4.3
	"utf16be": unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "utf16le": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
	"utf32": utf32.UTF32(utf32.BigEndian, utf32.UseBOM), "utf32be": utf32.UTF32(utf32.BigEndian, utf32.UseBOM),
	"utf32le": utf32.UTF32(utf32.LittleEndian, utf32.UseBOM),
	"ascii":   charmap.Windows1252, "latin1": charmap.Windows1252, "latin9": charmap.ISO8859_15,
	"cp874": charmap.Windows874, "koi8": charmap.KOI8R, "cp1361": nil, "iso2022cn": nil, "xuserdefined": nil,
}

var (
	windowsLabel = regexp.MustCompile(`^(?:cp|win|windows|ms|ansi|x-cp|x-windows)?[-_ ]*(125[0-8]|874)$`)
	isoLabel     = regexp.MustCompile(`^(?:x-?)?(?:iso)?[-_ ]*8859[-_ ]*([0-9]{1,2})(?:[-_:][0-9ei]+)?$`)
	labelMarks   = strings.NewReplacer("-", "", "_", "", " ", "", ".", "", ":", "")
)

// cleanLabel is a label without what is not of it: quotes, comments, a language.
func cleanLabel(label string) string {
	if len(label) > 100 {
		return label[:100]
	}
	if i := strings.IndexAny(label, "(;,*"); i >= 0 {
		label = label[:i]
	}
	return strings.ToLower(strings.Trim(label, " \t\r\n\"'<>"))
}

// decoderOf is a decoder of the charset with this label; nil: it is not known.
func decoderOf(label string) transform.Transformer {
	label = cleanLabel(label)
	plain := strings.TrimPrefix(labelMarks.Replace(label), "x")
	switch plain {
	case "":
		return nil
	case "utf7", "unicode11utf7", "csutf7", "unicode20utf7", "csunicode11utf7", "cp65000":
		return new(utf7)
	case "iso2022kr", "csiso2022kr":
		return transform.Chain(new(shiftedKorean), korean.EUCKR.NewDecoder())
	}
	if m := windowsLabel.FindStringSubmatch(label); m != nil {
		label = "windows-" + m[1]
	} else if m := isoLabel.FindStringSubmatch(label); m != nil && !strings.HasPrefix(m[1], "0") {
		label = "iso-8859-" + m[1]
	}
	e, known := aliases[plain]
	if !known {
		var err error
		if e, err = htmlindex.Get(label); err != nil || e == encoding.Replacement {
			if e, err = ianaindex.MIME.Encoding(label); e == nil || err != nil {
				e, _ = ianaindex.IANA.Encoding("cs" + label)
			}
		}
	}
	if e == nil || e == encoding.Replacement {
		return nil
	}
	return e.NewDecoder().Transformer
}

// saysNothing reports whether a label tells nothing about octets above 127: no label,
// and the labels of programs that did not know the charset themselves.
func saysNothing(label string) bool {
	switch cleanLabel(label) {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "ansi_x3.4-1986", "iso646-us", "iso_646.irv:1991", "unknown-8bit", "x-unknown", "unknown", "8bit", "7bit",
		"binary", "default", "default_charset", "none", "auto", "charset", "none-specified":
		return true
	}
	return false
}

// shiftedKorean makes EUC-KR of ISO-2022-KR (RFC 1557): octets between SO and SI get
// their eighth bit, and the line that announces them goes.
type shiftedKorean struct{ shifted bool }

// Reset implements transform.Transformer.
func (k *shiftedKorean) Reset() { k.shifted = false }

// Transform implements transform.Transformer.
func (k *shiftedKorean) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	const announced = "\x1b$)C"
	for nSrc < len(src) {
		c := src[nSrc]
		switch {
		case c == announced[0] && len(src)-nSrc < len(announced) && strings.HasPrefix(announced, string(src[nSrc:])) && !atEOF:
			return nDst, nSrc, transform.ErrShortSrc
		case c == announced[0] && strings.HasPrefix(string(src[nSrc:min(nSrc+4, len(src))]), announced):
			nSrc += len(announced)
			continue
		case c == 0x0e, c == 0x0f:
			k.shifted = c == 0x0e
			nSrc++
			continue
		case nDst == len(dst):
			return nDst, nSrc, transform.ErrShortDst
		case c == '\n': // each line begins unshifted
			k.shifted = false
		case k.shifted && c > ' ' && c < 0x7f:
			c |= 0x80
		}
		dst[nDst] = c
		nDst, nSrc = nDst+1, nSrc+1
	}
	return nDst, nSrc, nil
}
