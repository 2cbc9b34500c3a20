package entity

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"postrider/codec/message"
)

// ReadAddresses reads the value of a field with addresses, as message.Mailboxes does:
// no address is lost, and no two are merged. Names and addresses are in UTF-8 and Printable. Text
// that is not an address is a name with an Address of "".
func ReadAddresses(value string) []*mail.Address {
	var list []*mail.Address
	for _, m := range message.Mailboxes(value) {
		a := &mail.Address{Name: ReadText(m.Name), Address: Printable(inUTF8(m.Address, ""))}
		if a.Name != "" || a.Address != "" {
			list = append(list, a)
		}
	}
	return list
}

// TypedAddresses reads addresses that a person has typed, with or without names and with
// commas or semicolons between. An address without a domain gets domain. If domain is
// empty then, or if there is no address, the error names the address.
func TypedAddresses(text, domain string) ([]mail.Address, error) {
	if strings.ContainsAny(text, "\r\n\x00") {
		return nil, fmt.Errorf("%.200q has a line end in it: write the addresses in one line, with commas between", text)
	}
	var list []mail.Address
	for _, a := range ReadAddresses(text) {
		address := a.Address
		if address == "" && a.Name != "" && !strings.ContainsAny(a.Name, " \"'<>()") {
			address, a.Name = a.Name, ""
		}
		if address == "" {
			return nil, fmt.Errorf("%.200q is not an address: write name@example.org, or Name <name@example.org>", a.Name)
		}
		if !strings.Contains(address, "@") {
			if domain == "" {
				return nil, fmt.Errorf("%.200q has no domain: write %s@example.org", address, address)
			}
			address += "@" + domain
		}
		if err := checkTyped(address); err != nil {
			return nil, fmt.Errorf("%.200q: %w", address, err)
		}
		list = append(list, mail.Address{Name: a.Name, Address: address})
	}
	return list, nil
}

// checkTyped returns what is wrong with an address. Whether it exists the server decides.
func checkTyped(address string) error {
	at := strings.LastIndexByte(address, '@')
	switch local := address[:at]; {
	case at == 0:
		return errors.New("no name before the @")
	case at == len(address)-1:
		return errors.New("no domain after the @")
	case strings.ContainsAny(address[at:], " \"<>(),;\\"), !strings.HasPrefix(local, `"`) && strings.ContainsAny(local, " \"<>(),;\\@"):
		return errors.New("an address has no blanks and none of \" < > ( ) , ; \\ outside of quotes")
	}
	return nil
}

// AddressText is an address for people: "Name <address>", or what there is of it.
func AddressText(a *mail.Address) string {
	switch {
	case a.Name == "":
		return a.Address
	case a.Address == "":
		return a.Name
	}
	return a.Name + " <" + a.Address + ">"
}
