package mail

import (
	"errors"
	"fmt"
	"io"
	"net/mail"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/engine/client"
	"postrider/engine/mail/entity"
)

// mailLine is a message in a listing.
type mailLine struct {
	Number    int       `json:"number"`
	UID       string    `json:"uid,omitempty"`
	Size      int64     `json:"size"`
	From      []string  `json:"from"`
	To        []string  `json:"to"`
	Cc        []string  `json:"cc,omitempty"`
	Subject   string    `json:"subject"`
	Date      time.Time `json:"date,omitzero"`
	MessageID string    `json:"message_id,omitempty"`
	// Files says that there may be attachments: judged by the header alone, unless
	// Attachments was filled.
	Files       bool       `json:"files"`
	Attachments []mailFile `json:"attachments,omitempty"`
	Error       string     `json:"error,omitempty"`
	sender      string     // for people
}

// mailFile is an attachment.
type mailFile struct {
	Message int    `json:"message,omitempty"` // that it is of
	Part    string `json:"part"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	Size    int64  `json:"size"`
	Path    string `json:"path,omitempty"`    // where it was saved
	Damaged string `json:"damaged,omitempty"` // why it is not whole
}

func listCommand() *cobra.Command {
	var c correspondent
	var asJSON, full bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the messages of a maildrop",
		Long: `List the messages of a maildrop: number, sender, subject, date, size, and "+" where
there may be attachments. Only headers are read (TOP, pipelined where the server
can), and a header shows only that a message has several parts. With --full
the messages are read whole, and their attachments are counted.`,
		Example: `  postrider mail list
  postrider mail list --full --json`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			lines := []mailLine{}
			err := c.session(cmd.Context(), func(p *client.POP3) (err error) {
				lines, err = mailLines(p, full)
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				return workspace.PrintJSON(cmd.OutOrStdout(), lines)
			}
			return printMailLines(cmd.OutOrStdout(), lines, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&full, "full", false, "read whole messages, to count their attachments")
	return c.flags(cmd)
}

func mailLines(p *client.POP3, full bool) ([]mailLine, error) {
	lines := []mailLine{}
	items, err := p.List()
	if err != nil {
		return nil, err
	}
	if full {
		for _, it := range items {
			line, err := wholeLine(p, it)
			if err != nil {
				return nil, err
			}
			lines = append(lines, line)
		}
		return lines, nil
	}
	return lines, p.Heads(items, func(it client.Item, head io.Reader, err error) error {
		if err != nil {
			lines = append(lines, mailLine{Number: it.Number, UID: it.UID, Size: it.Size, Error: err.Error()})
			return nil
		}
		h, err := entity.ReadHead(head, entity.DefaultLimits)
		if err != nil {
			return err
		}
		lines = append(lines, lineOf(it, h))
		return nil
	})
}

// wholeLine reads a message and looks for its attachments.
func wholeLine(p *client.POP3, it client.Item) (mailLine, error) {
	body, err := p.Retrieve(it.Number, it.Size)
	if err != nil {
		return mailLine{}, err
	}
	var files []mailFile
	head, err := entity.Walk(body, entity.DefaultLimits, func(leaf entity.Leaf, in io.Reader) error {
		if !leaf.Attachment {
			return nil
		}
		n, err := io.Copy(io.Discard, in)
		f := fileOf(leaf, n)
		if err != nil {
			f.Damaged = err.Error()
		}
		files = append(files, f)
		return notDamage(err)
	})
	line := lineOf(it, head)
	line.Attachments, line.Files = files, len(files) > 0
	if errors.Is(err, entity.ErrLimit) {
		line.Error, err = err.Error(), nil
	}
	return line, err
}

// notDamage is an error of reading that is more than damage to one part.
func notDamage(err error) error {
	if errors.Is(err, entity.ErrDamaged) {
		return nil
	}
	return err
}

func fileOf(leaf entity.Leaf, size int64) mailFile {
	return mailFile{Part: leaf.Path, Name: leaf.FileName(), Type: leaf.Type, Size: size}
}

func lineOf(it client.Item, h entity.Head) mailLine {
	line := mailLine{
		Number: it.Number, UID: it.UID, Size: it.Size, From: addressTexts(h.From), To: addressTexts(h.To), Cc: addressTexts(h.Cc),
		Subject: h.Subject, Date: h.Date, MessageID: h.MessageID, Files: h.Files,
	}
	if len(h.From) > 0 {
		line.sender = h.From[0].Name
		if line.sender == "" {
			line.sender = h.From[0].Address
		}
	}
	return line
}

// addressTexts are addresses for people: names as they are read, not as they are encoded.
func addressTexts(list []*mail.Address) []string {
	texts := []string{}
	for _, a := range list {
		texts = append(texts, entity.AddressText(a))
	}
	return texts
}

// printMailLines writes a table as wide as the terminal.
func printMailLines(w io.Writer, lines []mailLine, now time.Time) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "no mail")
		return err
	}
	const numberWidth, dateWidth, sizeWidth = 4, 12, 6
	rest := max(terminalWidth(w)-numberWidth-dateWidth-sizeWidth-2-4*2, 30)
	sender := rest * 2 / 5
	for _, l := range lines {
		mark, subject := " ", l.Subject
		if l.Files {
			mark = "+"
		}
		if len(l.Attachments) > 1 {
			mark = fmt.Sprint(len(l.Attachments))
		}
		if l.Error != "" {
			subject = l.Error
		}
		_, err := fmt.Fprintf(w, "%*d  %s  %s  %s  %*s %s\n", numberWidth, l.Number, column(l.sender, sender), column(subject, rest-sender),
			column(shortDate(l.Date, now), dateWidth), sizeWidth, shortSize(l.Size), mark)
		if err != nil {
			return err
		}
	}
	return nil
}

// shortDate is a date as ls shows it: with the time if it is not long ago.
func shortDate(at, now time.Time) string {
	switch age := now.Sub(at); {
	case at.IsZero():
		return ""
	case age < 180*24*time.Hour && age > -24*time.Hour:
		return at.Local().Format("Jan _2 15:04")
	}
	return at.Local().Format("Jan _2  2006")
}

// shortSize is a number of octets in six columns.
func shortSize(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 10_000_000:
		return fmt.Sprintf("%dk", (n+500)/1000)
	}
	return fmt.Sprintf("%dM", (n+500_000)/1_000_000)
}
