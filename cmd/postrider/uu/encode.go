package uu

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/uu"
)

// EncodeCommand is "postrider uuencode".
func EncodeCommand() *cobra.Command {
	var asBase64, old bool
	cmd := &cobra.Command{
		Use:   "uuencode [FILE] NAME",
		Short: "Write a file as lines of text",
		Long: `Write FILE, or the standard input, to the standard output as lines of text that survive
mail. NAME is the file name for uudecode. Compatible with GNU sharutils.`,
		Example: `  postrider uuencode photo.jpg photo.jpg >letter.txt
  tar c folder | postrider uuencode folder.tar | sendmail jsmith@mindspring.com
  postrider uuencode -m photo.jpg photo.jpg          # in base64`,
		Args: cobra.MatchAll(workspace.AtLeast(1), workspace.AtMost(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			h := uu.Header{Mode: 0o666, Name: args[len(args)-1], Base64: asBase64}
			from := cmd.InOrStdin()
			if len(args) == 2 {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				info, err := f.Stat()
				if err != nil {
					return err
				}
				h.Mode, from = uint32(info.Mode().Perm()), f
			} else {
				h.Mode &^= workspace.Umask()
			}
			alphabet := uu.Backtick
			if old {
				alphabet = uu.Space
			}
			return encode(cmd.OutOrStdout(), from, h, alphabet)
		},
	}
	cmd.Flags().BoolVarP(&asBase64, "base64", "m", false, "encode in base64")
	cmd.Flags().BoolVar(&old, "space", false, "write a blank for zero, as old programs do, in place of \"`\"")
	return cmd
}

// piece is how many octets are encoded at once: whole lines.
const piece = 45 * 5825

func encode(to io.Writer, from io.Reader, h uu.Header, a uu.Alphabet) error {
	if h.Name == "" {
		return sysexits.Usage.With(errors.New("the name is empty: uudecode needs one for the file"))
	}
	octets := make([]byte, piece)
	out := uu.AppendBegin(make([]byte, 0, uu.EncodedLen(piece)+len(h.Name)+100), h)
	for {
		n, err := io.ReadFull(from, octets)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return sysexits.IOErr.With(fmt.Errorf("reading: %w", err))
		}
		if h.Base64 {
			out = uu.AppendBase64(out, octets[:n])
		} else {
			out = uu.AppendEncode(out, octets[:n], a)
		}
		if n < piece {
			out = uu.AppendEnd(out, h, a)
		}
		if _, err := to.Write(out); err != nil {
			return sysexits.IOErr.With(fmt.Errorf("writing: %w", err))
		}
		if n < piece {
			return nil
		}
		out = out[:0]
	}
}

// DecodeCommand is "postrider uudecode".
func DecodeCommand() *cobra.Command {
	d := decoding{}
	var repair bool
	cmd := &cobra.Command{
		Use:   "uudecode [FILE]...",
		Short: "Make files from uuencoded text",
		Long: `Make the files that are uuencoded in the texts, or in the standard input. Text around
them, such as a mail, is ignored. Their names come from the texts, without folders, and
they are made in the current folder or in the folder of -o. An existing file is not
replaced, unless by --force; a second file with the same name in the texts gets a number,
as with "mail save": photo-2.jpg. Compatible with GNU sharutils, which replaces files.

A damaged text is refused with the number of the line. --repair repairs typographic
quotes, HTML, and lines that were wrapped again; it reports what was done, and what
may be wrong.`,
		Example: `  postrider uudecode letter.txt
  postrider mail read 3 | postrider uudecode -o ~/attachments
  postrider uudecode -o /dev/stdout letter.txt | less
  postrider uudecode --repair how-email-works.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			d.stdout, d.said = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if len(args) == 0 {
				args = []string{"-"}
			}
			for _, name := range args {
				from, err := opened(name, cmd.InOrStdin())
				if err != nil {
					return err
				}
				if repair {
					err = d.repair(from)
				} else {
					err = d.decode(bufio.NewReaderSize(from, 256<<10))
				}
				_ = from.Close()
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&d.out, "output-file", "o", "", "file, folder, or /dev/stdout to write to")
	cmd.Flags().BoolVarP(&d.plainMode, "ignore-chmod", "c", false, "ignore the permissions in the text")
	cmd.Flags().BoolVar(&d.force, "force", false, "replace existing files")
	cmd.Flags().BoolVar(&repair, "repair", false, "repair a damaged text")
	return cmd
}

// opened is a file, or with "-" the standard input.
func opened(name string, stdin io.Reader) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	return os.Open(name)
}
