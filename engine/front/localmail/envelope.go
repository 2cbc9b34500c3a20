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
	"postrider/engine/host/maillog"
	"postrider/engine/mail/incoming"
)

// Envelope is a message's envelope, from sendmail's command line.
type Envelope struct {
	Sender     *string // nil: the caller
	FullName   string
	Recipients []string // address lists
	FromHeader bool
	Notify     smtp.Notify
	Ret        smtp.Ret
	EnvID      string // xtext
}

// maxEnvelope bounds an Envelope in JSON.
const maxEnvelope = 256 << 10

// readEnvelope reads the envelope before the text.
func readEnvelope(in *bufio.Reader) (e Envelope, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return e, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil || n < 0 || n > maxEnvelope {
		return e, fmt.Errorf("expected its length, a number up to %d", maxEnvelope)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return e, err
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, err
	}
	return e, e.check()
}

// check checks the values that go into the queue and are not addresses. The client may be
// another program than our sendmail.
func (e *Envelope) check() error {
	const all = smtp.NotifySuccess | smtp.NotifyFailure | smtp.NotifyDelay
	switch {
	case e.Notify != smtp.NotifyNever && e.Notify&^all != 0:
		return errors.New("unknown value of Notify")
	case e.Ret > smtp.RetHdrs:
		return errors.New("unknown value of Ret")
	case e.EnvID == "":
		return nil
	}
	if args, refused := smtp.ParseMail([]byte("FROM:<> ENVID="+e.EnvID), smtp.ExtDSN); refused != nil || string(args.EnvID) != e.EnvID {
		return errors.New("EnvID is not xtext of 1 to 100 octets")
	}
	return nil
}

// mailOf makes a user's message, without the text.
func mailOf(e Envelope, uid uint32) incoming.Mail {
	id := strconv.FormatUint(uint64(uid), 10)
	m := incoming.Mail{
		Sender: "nobody", FullName: e.FullName, Recipients: e.Recipients, FromHeader: e.FromHeader, Return: true,
		Notify: e.Notify, Ret: e.Ret, EnvID: e.EnvID,
	}
	m.Local, m.Origin = "userid "+id, "userid "+id+" by sendmail"
	if u, err := user.LookupId(id); err == nil {
		m.Sender = u.Username
		m.Origin = "userid " + id + " (" + u.Username + ") by sendmail"
		if e.FullName == "" && e.Sender == nil {
			m.FullName = u.Name
		}
	}
	if e.Sender != nil {
		m.Sender = *e.Sender
	}
	m.Door = "sendmail"
	m.Daemon, m.Line = maillog.Pickup, "uid="+id+" from=<"+m.Sender+">"
	return m
}
