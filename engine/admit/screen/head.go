package screen

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"mime"
	"net/mail"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// maxHead bounds the header that is kept for the check of signatures.
const maxHead = 64 << 10

// maxFrom bounds the From fields that are kept of the rest of a larger header, and what
// is read of them for authors: a longer list is one of too many.
const maxFrom = 8 << 10

var errHead = errors.New("the header is larger than 64 KiB")

// head is the header of a message, once.
type head struct {
	octets []byte // at most maxHead; of a larger one the From fields after that, too
	large  bool   // octets is not all
	from   bool   // the line at hand is of a From field
	cut    bool   // octets has not all of the From fields
}

// readHead reads the header of a message, and nothing after it. book is asked before
// more is kept than smallHead.
func readHead(b *bufio.Reader, book func() bool) (h head, err error) {
	start := true // at the start of a line
	for {
		line, err := b.ReadSlice('\n')
		cut := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !cut && !errors.Is(err, io.EOF) {
			return h, err
		}
		if start && (string(line) == "\r\n" || string(line) == "\n") {
			return h, nil
		}
		if len(h.octets)+len(line) > smallHead && !book() {
			return h, errBusy
		}
		if len(line) > 0 {
			h.add(line, start)
		}
		start = !cut
		if errors.Is(err, io.EOF) {
			return h, nil
		}
	}
}

// errBusy ends the check of a message for which there is no memory.
var errBusy = errors.New("no memory for the check")

// add keeps a line, or a part of one.
func (h *head) add(line []byte, start bool) {
	if start && line[0] != ' ' && line[0] != '\t' {
		name, _, _ := bytes.Cut(line, []byte(":"))
		h.from = strings.EqualFold(string(bytes.TrimRight(name, " \t")), "from")
	}
	most := maxHead
	if len(h.octets)+len(line) > maxHead {
		h.large = true
	}
	if h.large {
		if !h.from {
			return
		}
		most += maxFrom
		if n := len(h.octets); start && n > 0 && h.octets[n-1] != '\n' {
			h.octets = append(h.octets, "\r\n"...)
		}
	}
	if len(h.octets)+len(line) > most {
		h.cut = true
		return
	}
	h.octets = append(h.octets, line...)
}

// authors finds the domains of From fields, each once, and no more than maxAuthors+1 of
// them: more are as bad as one too many.
func authors(head []byte) (domains []string) {
	for value := range fromFields(head) {
		for _, address := range addresses(unfolded(value[:min(len(value), maxFrom)])) {
			d := domainOf(address)
			if d == "" || slices.Contains(domains, d) {
				continue
			}
			if domains = append(domains, d); len(domains) > maxAuthors {
				return domains
			}
		}
		if len(value) > maxFrom {
			return tooManyAuthors
		}
	}
	return domains
}

// tooManyAuthors is what authors returns if it has not seen all authors.
var tooManyAuthors = make([]string, maxAuthors+1)

// fromFields are the values of the From fields, folded as they are. It looks at the
// header itself, line by line: a check finds the authors even where there are too many
// fields for a signature.
func fromFields(head []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var value []byte // value of the current From field; nil: there is none
		for at := 0; at < len(head); {
			to := len(head)
			if n := bytes.IndexByte(head[at:], '\n'); n >= 0 {
				to = at + n + 1
			}
			line := head[at:to]
			at = to
			if line[0] == ' ' || line[0] == '\t' {
				if value != nil {
					value = value[:len(value)+len(line)] // it is next to it
				}
				continue
			}
			if value != nil && !yield(value) {
				return
			}
			value = nil
			name, rest, ok := bytes.Cut(line, []byte(":"))
			if ok && strings.EqualFold(string(bytes.TrimRight(name, " \t")), "from") {
				value = rest
			}
		}
		if value != nil {
			yield(value)
		}
	}
}

// unfolded undoes the folds of a field, in one pass.
func unfolded(value []byte) string {
	return strings.NewReplacer("\r\n", "", "\n", "").Replace(string(value))
}

// reader reads addresses and cares for no charset: only the addresses count.
var reader = mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
}}

// addresses reads an address list. People still see an address in a list that
// breaks the rules: the text in brackets, or the only word with an @.
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

// asDomain turns what a peer wrote into a domain in lower case with A-labels; "" for what
// is none, such as an address literal.
func asDomain(s string) string {
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	if len(s) > 1024 {
		return "" // longer than a name can be in any writing
	}
	ascii, err := idna.Lookup.ToASCII(s)
	if err != nil {
		ascii = strings.ToLower(s) // DNS has names that IDNA forbids
	}
	if !strings.Contains(ascii, ".") || !isHostName(ascii) {
		return ""
	}
	return ascii
}
