package queue

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/dot"
	"postrider/storage"
)

func catCommand() *cobra.Command {
	var t workspace.Target
	var raw bool
	cmd := &cobra.Command{
		Use:   "cat ID",
		Short: "Print the envelope and the text of mail in the queue",
		Long: `Print the envelope and the text of a message in the queue, in the format of
Postfix's "postcat -q": lines end with LF. --raw prints the message alone, octet for
octet as it will be sent, without stuffed dots.`,
		Example: "  postrider queue cat 06FV1Q2C80000\n  postrider queue cat --raw 06FV1Q2C80000 > message.eml",
		Args:    workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				found, err := entriesOf(ws, args[0])
				if err != nil {
					return err
				}
				return cat(ws, cmd.OutOrStdout(), found, raw)
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "print the message alone, octet for octet")
	return t.Flags(cmd)
}

// cat prints a message with the envelope of its entries.
func cat(ws *workspace.Workspace, to io.Writer, found []*storage.QueueEntry, raw bool) error {
	m, err := ws.OpenQueued(found[0])
	if err != nil {
		return fmt.Errorf("%s: %w", entry.Name(found[0].ID), err)
	}
	defer m.Close()
	out := bufio.NewWriter(to)
	id := found[0].ID.Message
	if !raw {
		fmt.Fprintf(out, "*** ENVELOPE RECORDS %s ***\n", id)
		catEnvelope(out, found)
		fmt.Fprintf(out, "*** MESSAGE CONTENTS %s ***\n", id)
	}
	if err := catBody(out, m, raw); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	if !raw {
		fmt.Fprintf(out, "*** MESSAGE FILE END %s ***\n", id)
	}
	return sysexits.IOErr.With(out.Flush())
}

func catEnvelope(out io.Writer, found []*storage.QueueEntry) {
	e := found[0]
	fmt.Fprintf(out, "message_size: %d\n", e.Size())
	fmt.Fprintf(out, "message_arrival_time: %s\n", e.Arrival.Local().Format(time.ANSIC))
	for _, f := range [][2]string{{"envelope_id", e.Envelope.EnvID}, {"ret", entry.RetName(e.Envelope.Ret)}, {"body", entry.BodyName(e.Envelope.Body)}, {"origin", e.Envelope.Origin}} {
		if f[1] != "" {
			fmt.Fprintf(out, "named_attribute: %s=%s\n", f[0], entry.Printable(f[1]))
		}
	}
	fmt.Fprintf(out, "sender: %s\n", entry.Printable(e.Envelope.ReversePath))
	for _, e := range found {
		for i := range e.Recipients {
			r := &e.Recipients[i]
			if r.ORcpt != "" {
				fmt.Fprintf(out, "original_recipient: %s\n", entry.Printable(r.ORcpt))
			}
			fmt.Fprintf(out, "recipient: %s\n", entry.Printable(r.ForwardPath))
		}
	}
}

// catBody prints the text in plain form. In wire form every CR belongs to a CRLF,
// so that dropping them all leaves the line ends of Unix.
func catBody(out io.Writer, m storage.Message, raw bool) error {
	var u dot.Unstuffer
	var buf []byte
	for {
		piece, err := m.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		buf = u.Append(buf[:0], piece)
		if !raw {
			buf = slices.DeleteFunc(buf, func(c byte) bool { return c == '\r' })
		}
		if _, err := out.Write(buf); err != nil {
			return sysexits.IOErr.With(err)
		}
	}
}
