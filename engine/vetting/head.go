package vetting

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"net/mail"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// maxHead bounds a header that is looked at.
const maxHead = 256 << 10

var errHead = errors.New("the header is larger than 256 KiB")

// readHead reads the header of a message; rest is the whole message again.
func readHead(r io.Reader) (head []byte, rest io.Reader, err error) {
	b := bufio.NewReaderSize(r, 4<<10)
	for {
		line, err := b.ReadSlice('\n')
		head = append(head, line...)
		switch {
		case len(head) > maxHead:
			return nil, nil, errHead
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			if len(line) > 0 || !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
				head = append(head, "\r\n\r\n"...)
			}
			return head, bytes.NewReader(head), nil
		case err != nil:
			return nil, nil, err
		case string(line) == "\r\n" && (len(head) == 2 || bytes.HasSuffix(head, []byte("\r\n\r\n"))):
			return head, io.MultiReader(bytes.NewReader(head), b), nil
		}
	}
}

// authors finds the domains of all From fields, each once.
func authors(head []byte) (domains []string) {
	for _, field := range fields(head) {
		name, value, ok := strings.Cut(field, ":")
		if !ok || !strings.EqualFold(strings.TrimRight(name, " \t"), "from") {
			continue
		}
		for _, address := range addresses(value) {
			if d := domainOf(address); d != "" && !slices.Contains(domains, d) {
				domains = append(domains, d)
			}
		}
	}
	return domains
}

// fields takes a header apart; folds are undone.
func fields(head []byte) (fs []string) {
	for line := range strings.SplitSeq(string(head), "\r\n") {
		switch {
		case line == "":
		case (line[0] == ' ' || line[0] == '\t') && len(fs) > 0:
			fs[len(fs)-1] += line
		default:
			fs = append(fs, line)
		}
	}
	return fs
}

// reader reads addresses and cares for no charset: only the addresses count.
var reader = mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
}}

// addresses reads an address list. One that breaks the rules still shows an address
// to people: what stands in brackets, or the only word with an @.
func addresses(value string) (found []string) {
	list, err := reader.ParseList(value)
	if err == nil {
		for _, a := range list {
			found = append(found, a.Address)
		}
		return found
	}
	for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune(" \t<>,;()\"", r) }) {
		if strings.Contains(word, "@") {
			found = append(found, word)
		}
	}
	return found
}

// domainOf is the domain of an address, as asDomain makes it.
func domainOf(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return ""
	}
	return asDomain(address[at+1:])
}

// asDomain makes of what a peer wrote a domain in lower case with A-labels; "" of what
// is none, such as an address literal.
func asDomain(s string) string {
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	ascii, err := idna.Lookup.ToASCII(s)
	if err != nil {
		ascii = strings.ToLower(s) // DNS has names that IDNA forbids
	}
	if !strings.Contains(ascii, ".") || !isHostName(ascii) {
		return ""
	}
	return ascii
}
