package localmail

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"strings"

	"postrider/codec/smtp"
	"postrider/engine/mail/incoming"
)

// Letter is the envelope of a message, as sendmail's command line says it.
type Letter struct {
	Sender     *string // nil: the caller
	FullName   string
	Recipients []string // lists of addresses
	FromHeader bool
	Notify     smtp.Notify
	Ret        smtp.Ret
	EnvID      string // xtext
}

// maxLetter bounds the JSON of a Letter.
const maxLetter = 256 << 10

// readLetter reads what is before the text.
func readLetter(in *bufio.Reader) (l Letter, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return l, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil || n < 0 || n > maxLetter {
		return l, fmt.Errorf("its length is not a number up to %d", maxLetter)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, err
	}
	return l, l.check()
}

// check looks at what goes into the queue without being read by the grammar of a path. A
// caller need not be our own sendmail.
func (l *Letter) check() error {
	const all = smtp.NotifySuccess | smtp.NotifyFailure | smtp.NotifyDelay
	switch {
	case l.Notify != smtp.NotifyNever && l.Notify&^all != 0:
		return errors.New("Notify has no such value")
	case l.Ret > smtp.RetHdrs:
		return errors.New("Ret has no such value")
	case l.EnvID == "":
		return nil
	}
	if args, refused := smtp.ParseMail([]byte("FROM:<> ENVID="+l.EnvID), smtp.ExtDSN); refused != nil || string(args.EnvID) != l.EnvID {
		return errors.New("EnvID is not xtext of 1 to 100 octets")
	}
	return nil
}

// mailOf is the message of a user, without its text.
func mailOf(l Letter, uid uint32) incoming.Mail {
	id := strconv.FormatUint(uint64(uid), 10)
	m := incoming.Mail{
		Sender: "nobody", FullName: l.FullName, Recipients: l.Recipients, FromHeader: l.FromHeader, Return: true,
		Notify: l.Notify, Ret: l.Ret, EnvID: l.EnvID,
	}
	m.Local, m.Origin = "userid "+id, "userid "+id+" by sendmail"
	if u, err := user.LookupId(id); err == nil {
		m.Sender = u.Username
		m.Origin = "userid " + id + " (" + u.Username + ") by sendmail"
		if l.FullName == "" && l.Sender == nil {
			m.FullName = u.Name
		}
	}
	if l.Sender != nil {
		m.Sender = *l.Sender
	}
	return m
}
