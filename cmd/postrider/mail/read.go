package mail

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/engine/client"
	"postrider/engine/mail/entity"
	"postrider/engine/mail/hypertext"
)

// mailText is a message that was read, for scripts.
type mailText struct {
	mailLine
	Text string `json:"text"`
}

// maxText bounds the text of a message that has to be in memory as a whole.
const maxText = 32 << 20

func readCommand() *cobra.Command {
	var c correspondent
	var asJSON, raw bool
	cmd := &cobra.Command{
		Use:   "read MESSAGE...",
		Short: "Show messages: their text, and a list of attachments",
		Long: `Show messages: sender, recipients, date and subject, the text in UTF-8, and a list
of attachments. HTML is shown as text if there is no plain text. A message can't
control the terminal: control characters are replaced.`,
		Example: `  postrider mail read 3
  postrider mail read 3 --raw > message.eml`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			texts := []mailText{}
			err := c.session(cmd.Context(), func(p *client.POP3) error {
				items, err := c.chosen(p, args)
				if err != nil {
					return err
				}
				for i, it := range items {
					switch {
					case raw:
						err = printRaw(cmd.OutOrStdout(), p, it)
					case asJSON:
						var t mailText
						t, err = readText(p, it)
						texts = append(texts, t)
					default:
						if i > 0 {
							fmt.Fprintln(cmd.OutOrStdout(), strings.Repeat("-", 40))
						}
						err = printMessage(cmd.OutOrStdout(), p, it)
					}
					if err != nil {
						return fmt.Errorf("message %d: %w", it.Number, err)
					}
				}
				return nil
			})
			if err != nil || !asJSON || raw {
				return err
			}
			return workspace.PrintJSON(cmd.OutOrStdout(), texts)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&raw, "raw", false, "show the message as it came, unchanged unless on a terminal")
	return c.selecting(cmd)
}

func printRaw(w io.Writer, p *client.POP3, it client.Item) error {
	body, err := p.Retrieve(it.Number, it.Size)
	if err != nil {
		return err
	}
	if !isTerminal(w) {
		_, err := io.Copy(w, body)
		return err
	}
	t := client.NewTerminal(w)
	_, err = io.Copy(t, body)
	return errors.Join(err, t.Close())
}

// printMessage shows a message to people, while it is read.
func printMessage(w io.Writer, p *client.POP3, it client.Item) error {
	var said bool
	head := func(h entity.Head) {
		if said {
			return
		}
		said = true
		printHead(w, h)
	}
	files, h, err := showMessage(p, it, head, func(text io.Reader) error {
		t := client.NewTerminal(w)
		_, err := io.Copy(t, text)
		return errors.Join(notDamage(err), t.Close(), note(w, err))
	})
	if err != nil {
		return err
	}
	head(h)
	if len(files) > 0 {
		fmt.Fprintln(w)
	}
	for _, f := range files {
		fmt.Fprintf(w, "[%s: %s, %s octets]\n", client.Printable(f.Name), client.Printable(f.Type), shortSize(f.Size))
		if f.Damaged != "" {
			fmt.Fprintf(w, "[%s is not whole: %s]\n", client.Printable(f.Name), client.Printable(f.Damaged))
		}
	}
	return nil
}

// note prints that a text is damaged.
func note(w io.Writer, err error) error {
	if !errors.Is(err, entity.ErrDamaged) {
		return nil
	}
	_, err = fmt.Fprintf(w, "[the rest of the text can't be read: %s]\n", client.Printable(err.Error()))
	return err
}

func printHead(w io.Writer, h entity.Head) {
	date := "no Date field"
	switch {
	case !h.Date.IsZero():
		date = h.Date.Format(time.RFC1123Z)
	case h.DateField != "":
		date = "can't be read: " + h.DateField
	}
	for _, f := range []struct{ name, value string }{
		{"From", strings.Join(addressTexts(h.From), ", ")}, {"To", strings.Join(addressTexts(h.To), ", ")},
		{"Cc", strings.Join(addressTexts(h.Cc), ", ")}, {"Date", date}, {"Subject", h.Subject},
	} {
		if f.value != "" {
			fmt.Fprintf(w, "%s: %s\n", f.name, client.Printable(f.value))
		}
	}
	fmt.Fprintln(w)
}

// showMessage goes through a message: head, when it is known, then show for each text
// that is to be read, in UTF-8 with LF. Among alternatives it is the first plain one.
// Everything else is listed as a file.
func showMessage(p *client.POP3, it client.Item, head func(entity.Head), show func(text io.Reader) error) (files []mailFile, h entity.Head, err error) {
	body, err := p.Retrieve(it.Number, it.Size)
	if err != nil {
		return nil, h, err
	}
	in, err := entity.NewReader(body, entity.DefaultLimits)
	if err != nil {
		return nil, h, err
	}
	h = in.Head()
	head(h)
	shown := 0
	for {
		leaf, part, err := in.Next()
		switch {
		case err == io.EOF:
			return files, h, nil
		case errors.Is(err, entity.ErrLimit):
			return files, h, show(strings.NewReader("[" + err.Error() + "]\n"))
		case err != nil:
			return files, h, err
		case !leaf.Attachment && leaf.Type != "text/html":
			shown++
			err = show(part)
		case !leaf.Attachment && leaf.Type == "text/html" && leaf.Alternative && shown > 0:
			// It was said in plain text.
		case !leaf.Attachment && leaf.Type == "text/html":
			shown++
			err = show(hypertext.PlainText(io.LimitReader(part, maxText)))
		default:
			var n int64
			n, err = io.Copy(io.Discard, part)
			f := fileOf(leaf, n)
			if err != nil {
				f.Damaged = err.Error()
			}
			files, err = append(files, f), notDamage(err)
		}
		if err != nil {
			return files, h, err
		}
	}
}

// readText reads a message for scripts.
func readText(p *client.POP3, it client.Item) (mailText, error) {
	var text strings.Builder
	damage := ""
	files, h, err := showMessage(p, it, func(entity.Head) {}, func(in io.Reader) error {
		_, err := io.Copy(&text, io.LimitReader(in, int64(maxText-text.Len())))
		if errors.Is(err, entity.ErrDamaged) {
			damage = err.Error()
		}
		return notDamage(err)
	})
	if err != nil {
		return mailText{}, err
	}
	t := mailText{mailLine: lineOf(it, h), Text: text.String()}
	t.Attachments, t.Files, t.Error = files, len(files) > 0, damage
	return t, nil
}
