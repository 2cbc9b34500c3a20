package queue

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/storage"
)

// postcat is the options of a command line: what to print. None means all.
type postcat struct{ queue, envelope, header, body bool }

// PostcatCommand is "postcat" of Postfix.
func PostcatCommand() *cobra.Command {
	var t workspace.Target
	var p postcat
	cmd := &cobra.Command{
		Use:   "postcat -q [-c file] [-beh] id...",
		Short: "Print mail in the queue as Postfix's postcat does; also runs under that name",
		Long: `Print messages of the queue in the format of Postfix's postcat. It also runs under the
name postcat. Without -b, -e and -h it prints all three parts.

  -q       the arguments are queue ids; there are no queue files to name
  -e       the envelope
  -h       the header
  -b       the body, with the empty line before it
  -c FILE  the configuration (TOML); default: $POSTRIDER_CONFIG, or
           /etc/postrider.toml if it is there

-bh prints the message alone. Lines end with LF; "postrider queue cat --raw" prints the
message octet for octet.`,
		Example: "  postcat -q 06FV1Q2C80000\n  postcat -hq 06FV1Q2C80000\n  postrider postcat -bh -q 06FV1Q2C80000",
		Args:    workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !p.queue {
				return sysexits.Usage.With(errors.New("queue files do not exist here: use -q and the id of a message (\"postqueue -p\" lists them)"))
			}
			if !p.envelope && !p.header && !p.body {
				p.envelope, p.header, p.body = true, true, true
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				for _, arg := range args {
					if err := p.print(ws, cmd.OutOrStdout(), arg); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&p.queue, "queue", "q", false, "the arguments are queue ids")
	f.BoolVarP(&p.envelope, "envelope", "e", false, "print the envelope")
	f.BoolVarP(&p.header, "header", "h", false, "print the header")
	f.BoolVarP(&p.body, "body", "b", false, "print the body")
	return postfixCommand(&t, cmd, `queue entries have no records or offsets to print; "postrider queue show" prints all that is known of a message`)
}

// print prints one message.
func (p *postcat) print(ws *workspace.Workspace, to io.Writer, arg string) error {
	found, err := entriesOf(ws, arg)
	if err != nil {
		return err
	}
	m, err := ws.OpenQueued(found[0])
	if err != nil {
		return fmt.Errorf("%s: %w", entry.Name(found[0].ID), err)
	}
	defer m.Close()
	out := bufio.NewWriter(to)
	// Postfix names the file: the queue and the id.
	file := string(stateOfAll(found, time.Now())) + "/" + found[0].ID.Message.String()
	marker := func(text string) {
		if p.envelope {
			fmt.Fprintf(out, "*** %s %s ***\n", text, file)
		}
	}
	marker("ENVELOPE RECORDS")
	if p.envelope {
		catEnvelope(out, found)
	}
	marker("MESSAGE CONTENTS")
	if p.header || p.body {
		parts := textParts{out: out, header: p.header, body: p.body}
		err := errors.Join(catBody(&parts, m, false), parts.end())
		if err != nil {
			return fmt.Errorf("%s: %w", found[0].ID.Message, err)
		}
	}
	marker("HEADER EXTRACTED")
	marker("MESSAGE FILE END")
	return sysexits.IOErr.With(out.Flush())
}

// textParts is a writer that lets the header or the body of a message through. As in
// Postfix, the body begins with the first line that is no header field and no
// continuation of one: the empty line, as a rule.
type textParts struct {
	out          io.Writer
	header, body bool

	inBody bool
	within bool   // the line is a header field: what follows of it is passed on
	line   []byte // the beginning of a line, until it is known what it is
}

// maxFieldName bounds the octets by which a line is known for a header field.
const maxFieldName = 1000

// Write implements io.Writer.
func (t *textParts) Write(text []byte) (int, error) {
	n := len(text)
	for len(text) > 0 && !t.inBody {
		length, ended := bytes.IndexByte(text, '\n')+1, true
		if length == 0 {
			length, ended = len(text), false
		}
		piece := text[:length]
		text = text[length:]
		if !t.within {
			t.line = append(t.line, piece...)
			if !ended && len(t.line) < maxFieldName {
				continue
			}
			t.inBody = !isField(t.line)
			piece = t.line
			t.line = t.line[:0]
		}
		t.within = !ended
		if err := t.pass(piece); err != nil {
			return 0, err
		}
	}
	return n, t.pass(text)
}

// end passes on a last line without a line end.
func (t *textParts) end() error {
	if len(t.line) > 0 {
		t.inBody = !isField(t.line)
	}
	return t.pass(t.line)
}

// pass writes text, if it is of a part that is printed.
func (t *textParts) pass(text []byte) error {
	if len(text) == 0 || t.inBody && !t.body || !t.inBody && !t.header {
		return nil
	}
	_, err := t.out.Write(text)
	return sysexits.IOErr.With(err)
}

// isField reports whether a line is one of a header: a field's name with a colon, or the
// continuation of a field.
func isField(line []byte) bool {
	if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		return true
	}
	name, _, found := bytes.Cut(line, []byte{':'})
	name = bytes.TrimRight(name, " \t")
	return found && len(name) > 0 && bytes.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// entriesOf are the entries of the queue that an id names; none is an error.
func entriesOf(ws *workspace.Workspace, text string) ([]*storage.QueueEntry, error) {
	id, err := selection.ParseID(text)
	if err != nil {
		return nil, err
	}
	found, err := id.Entries(ws)
	if err == nil && len(found) == 0 {
		err = sysexits.NoUser.With(fmt.Errorf("%s is not in the queue (see \"postrider why %s\")", id, id.Entry.Message))
	}
	return found, err
}
