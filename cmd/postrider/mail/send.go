package mail

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/engine/mail/entity"
)

// writing is the flags of a message that is to be sent.
type writing struct {
	correspondent
	to, cc, bcc   []string
	subject, file string
	charset       string
	attach        []string
	uu            bool
}

func sendCommand() *cobra.Command {
	var w writing
	cmd := &cobra.Command{
		Use:   "send --to ADDRESS...",
		Short: "Send a message, with attachments",
		Long: `Send a message. Its text comes from --file, else from the standard input, else, at a
terminal, from the editor ($VISUAL or $EDITOR). Attachments are MIME parts, or with
--uuencode uuencoded files in the text, as before MIME.

The server may refuse the message for some of the recipients: they are reported, and
the exit code is 69, or 75 if a later attempt may succeed.`,
		Example: `  postrider mail send --to bob@example.net --subject lunch < text
  postrider mail send --to "Bob <bob@example.net>,al@example.org" --subject "two files" \
      --file text --attach menu.pdf --attach map.png`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return w.send(cmd) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&w.to, "to", nil, "recipients: addresses with or without names, several with commas or semicolons, or by repeating")
	f.StringArrayVar(&w.cc, "cc", nil, "recipients of copies")
	f.StringArrayVar(&w.bcc, "bcc", nil, "recipients that the other recipients don't see")
	f.StringVarP(&w.subject, "subject", "s", "", "subject")
	f.StringVar(&w.file, "file", "", "file with the text, in UTF-8; - is the standard input")
	f.StringVar(&w.charset, "charset", "", "charset of the text, if it is not UTF-8, such as iso-8859-1")
	f.StringArrayVar(&w.attach, "attach", nil, "file to attach; may be repeated")
	f.BoolVar(&w.uu, "uuencode", false, "attach by uuencode in place of MIME")
	return w.flags(cmd)
}

func (w *writing) send(cmd *cobra.Command) error {
	account, err := w.pick()
	if err != nil {
		return err
	}
	host, err := account.Submission()
	if err != nil {
		return sysexits.Config.With(err)
	}
	draft, envelope, err := w.draft(account)
	if err != nil {
		return err
	}
	if draft.Text, err = w.text(cmd); err != nil {
		return err
	}
	message, err := spool(draft)
	if err != nil {
		return err
	}
	defer message.Close()
	if envelope.Size, err = message.Seek(0, io.SeekEnd); err != nil {
		return sysexits.IOErr.With(err)
	}
	return submit(cmd, host, envelope, message)
}

// submit sends the message and names the recipients that did not get it.
func submit(cmd *cobra.Command, host *client.Host, envelope client.Envelope, message io.ReadSeeker) error {
	refusals, err := client.Submit(cmd.Context(), host, envelope, message)
	temporary := true
	for _, r := range refusals {
		fmt.Fprintf(cmd.ErrOrStderr(), "postrider: not sent to %s: %s\n", r.To, r.Reply)
		temporary = temporary && r.Temporary
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, client.ErrDoubt):
		return sysexits.TempFail.With(err)
	case err != nil:
		return hostError(err)
	case len(refusals) == 0:
		return nil
	}
	code := sysexits.Unavailable
	if temporary {
		code = sysexits.TempFail
	}
	return code.With(fmt.Errorf("the server refused %d of %d recipients", len(refusals), len(envelope.To)))
}

// draft is the message without its text, and its envelope.
func (w *writing) draft(account *client.Account) (*entity.Draft, client.Envelope, error) {
	var envelope client.Envelope
	from, err := mail.ParseAddress(account.From)
	if err != nil {
		return nil, envelope, sysexits.Config.With(fmt.Errorf("from = %q in the account: %w", account.From, err))
	}
	if !utf8.ValidString(w.subject) {
		return nil, envelope, sysexits.Usage.With(fmt.Errorf("--subject: %q is not UTF-8: convert it, or use a terminal with a UTF-8 locale", w.subject))
	}
	d := &entity.Draft{From: *from, Subject: w.subject, Date: time.Now(), UU: w.uu}
	_, domain, _ := strings.Cut(from.Address, "@")
	d.MessageID = rand.Text() + "@" + domain
	envelope.From = from.Address
	var bcc []mail.Address
	for _, list := range []struct {
		flag  string
		texts []string
		to    *[]mail.Address
	}{{"--to", w.to, &d.To}, {"--cc", w.cc, &d.Cc}, {"--bcc", w.bcc, &bcc}} {
		if *list.to, err = addressList(list.texts); err != nil {
			return nil, envelope, sysexits.Usage.With(fmt.Errorf("%s: %w", list.flag, err))
		}
		for _, a := range *list.to {
			envelope.To = append(envelope.To, a.Address)
		}
	}
	if len(envelope.To) == 0 {
		return nil, envelope, sysexits.Usage.With(errors.New("no recipients: use --to, --cc or --bcc"))
	}
	envelope.UTF8 = beyondASCII(from.Address + strings.Join(envelope.To, ""))
	for _, file := range w.attach {
		info, err := os.Stat(file)
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a regular file", file)
		}
		if err != nil {
			return nil, envelope, sysexits.NoInput.With(fmt.Errorf("--attach: %w", err))
		}
		d.Attachments = append(d.Attachments, entity.Attachment{
			Name: nameOf(file), Open: func() (io.ReadCloser, error) { return os.Open(file) },
		})
	}
	return d, envelope, nil
}

// nameOf is what a file is called, in UTF-8.
func nameOf(file string) string {
	name := filepath.Base(file)
	if !utf8.ValidString(name) {
		name = entity.ReadText(name)
	}
	return name
}

func beyondASCII(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r > 127 })
}

// addressList reads lists of addresses.
func addressList(texts []string) (list []mail.Address, err error) {
	for _, text := range texts {
		some, err := entity.TypedAddresses(text, "")
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// inUTF8 is a text in UTF-8: by --charset, or by the byte order mark that it begins with.
// Other text has to be UTF-8 already: a guess could change what is said, unseen.
func (w *writing) inUTF8(text []byte) (string, error) {
	if strings.EqualFold(w.charset, "utf-8") {
		w.charset = ""
	}
	if w.charset == "" && utf8.Valid(text) {
		return string(bytes.TrimPrefix(text, []byte("\ufeff"))), nil
	}
	marked := bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff"))
	if w.charset == "" && !marked {
		return "", sysexits.DataErr.With(fmt.Errorf("the text is not UTF-8: octet 0x%02X in line %d; use --charset, such as --charset iso-8859-1", firstBad(text), lineOfBad(text)))
	}
	in, known := entity.NewText(bytes.NewReader(text), w.charset)
	if !known {
		return "", sysexits.Usage.With(fmt.Errorf("--charset: unknown charset %q; use a name such as utf-8, iso-8859-1, shift_jis", w.charset))
	}
	out, err := io.ReadAll(in)
	if err != nil {
		return "", sysexits.DataErr.With(fmt.Errorf("the text: %w", err))
	}
	if !bytes.Contains(text, []byte("\ufffd")) && bytes.Contains(out, []byte("\ufffd")) {
		return "", sysexits.DataErr.With(fmt.Errorf("the text has octets that are not %s: check --charset", cmp.Or(w.charset, "UTF-16")))
	}
	return string(out), nil
}

// badAt is where text stops being UTF-8.
func badAt(text []byte) int {
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

func firstBad(text []byte) byte { return text[badAt(text)] }

func lineOfBad(text []byte) int { return bytes.Count(text[:badAt(text)], []byte("\n")) + 1 }

// text reads the text of the message.
func (w *writing) text(cmd *cobra.Command) (string, error) {
	in := cmd.InOrStdin()
	switch {
	case w.file != "" && w.file != "-":
		f, err := os.Open(w.file)
		if err != nil {
			return "", sysexits.NoInput.With(err)
		}
		defer f.Close()
		in = f
	case w.file == "" && in == os.Stdin && term.IsTerminal(int(os.Stdin.Fd())):
		text, err := edited(cmd)
		if err != nil {
			return "", err
		}
		return w.inUTF8([]byte(text))
	}
	text, err := io.ReadAll(io.LimitReader(in, maxText+1))
	if err != nil {
		return "", sysexits.IOErr.With(fmt.Errorf("the text: %w", err))
	}
	if len(text) > maxText {
		return "", sysexits.DataErr.With(fmt.Errorf("the text is larger than %d MiB: attach it as a file", maxText>>20))
	}
	return w.inUTF8(text)
}

// edited has a person write the text with their editor.
func edited(cmd *cobra.Command) (string, error) {
	editor := os.Getenv("VISUAL")
	if editor == "" {
		editor = os.Getenv("EDITOR")
	}
	if editor == "" {
		return "", sysexits.Usage.With(errors.New("no text: use --file FILE, or set $EDITOR"))
	}
	f, err := os.CreateTemp("", "letter-*.txt")
	if err != nil {
		return "", sysexits.CantCreate.With(err)
	}
	defer os.Remove(f.Name())
	_ = f.Close()
	// $EDITOR may have arguments, as "code --wait".
	e := exec.CommandContext(cmd.Context(), "sh", "-c", editor+` "$1"`, "sh", f.Name())
	e.Stdin, e.Stdout, e.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := e.Run(); err != nil {
		return "", sysexits.Unavailable.With(fmt.Errorf("the editor %s: %w: nothing was sent", editor, err))
	}
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return "", sysexits.IOErr.With(err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return "", sysexits.DataErr.With(errors.New("the text is empty: nothing was sent"))
	}
	return string(text), nil
}

// spool writes the message into a file without a name. So its size is known before it is
// sent, and a file that can't be read never ends a message halfway.
func spool(d *entity.Draft) (*os.File, error) {
	f, err := os.CreateTemp("", "postrider-mail-*")
	if err != nil {
		return nil, sysexits.CantCreate.With(err)
	}
	_ = os.Remove(f.Name())
	w := bufio.NewWriterSize(f, 256<<10) // the message comes line by line
	_, err = d.WriteTo(w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		_ = f.Close()
		return nil, sysexits.IOErr.With(fmt.Errorf("writing the message: %w", err))
	}
	return f, nil
}
