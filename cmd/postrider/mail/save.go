package mail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/client"
	"postrider/engine/host/disk"
	"postrider/engine/mail/entity"
)

func saveCommand() *cobra.Command {
	var c correspondent
	var out string
	var asJSON, replace bool
	cmd := &cobra.Command{
		Use:   "save MESSAGE...",
		Short: "Save the attachments of messages into a folder",
		Long: `Save the attachments of messages, MIME parts and uuencoded files alike, into a
folder. Names are made safe, and where there is a file of that name already, the new
one gets a number: photo.jpg, photo-2.jpg. The part of a damaged attachment that can be
decoded is saved, and the exit code is 65.`,
		Example: `  postrider mail save 3 --out attachments
  postrider mail save all --json`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := disk.MkdirAll(out, 0o777); err != nil {
				return sysexits.CantCreate.With(err)
			}
			files := []mailFile{}
			err := c.session(cmd.Context(), func(p *client.POP3) error {
				items, err := c.chosen(p, args)
				if err != nil {
					return err
				}
				for _, it := range items {
					saved, err := saveFiles(p, it, out, replace)
					files = append(files, saved...)
					if err != nil {
						return fmt.Errorf("message %d: %w", it.Number, err)
					}
				}
				return nil
			})
			if asJSON {
				err = errors.Join(err, workspace.PrintJSON(cmd.OutOrStdout(), files))
			}
			damaged := 0
			for _, f := range files {
				if f.Damaged != "" {
					damaged++
				}
				if !asJSON {
					fmt.Fprintf(cmd.OutOrStdout(), "%s\t%d octets\t%s\n", client.Printable(f.Path), f.Size, client.Printable(f.Damaged))
				}
			}
			if err == nil && damaged > 0 {
				return sysexits.DataErr.With(fmt.Errorf("%d of %d attachments are damaged: they were saved in part", damaged, len(files)))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", ".", "folder to save into; made if it does not exist")
	cmd.Flags().BoolVar(&replace, "overwrite", false, "replace files with the same name")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c.selecting(cmd)
}

// saveFiles saves the attachments of a message.
func saveFiles(p *client.POP3, it client.Item, dir string, replace bool) (files []mailFile, err error) {
	body, err := p.Retrieve(it.Number, it.Size)
	if err != nil {
		return nil, err
	}
	_, err = entity.Walk(body, entity.DefaultLimits, func(leaf entity.Leaf, in io.Reader) error {
		if !leaf.Attachment {
			return nil
		}
		f := fileOf(leaf, 0)
		f.Message = it.Number
		f.Path, err = writeNew(dir, f.Name, replace, func(w io.Writer) (err error) {
			f.Size, err = io.Copy(w, in)
			return err
		})
		if errors.Is(err, entity.ErrDamaged) {
			f.Damaged, err = err.Error(), nil
		}
		if err == nil {
			files = append(files, f)
		}
		return err
	})
	return files, err
}

// giveName gives a finished file its name in dir, or the name with a number, and returns it.
func giveName(temp, dir, name string, replace bool) (string, error) {
	path := filepath.Join(dir, name)
	if replace {
		return path, disk.Rename(temp, path)
	}
	extension := filepath.Ext(name)
	for n := 2; n < workspace.MaxNames; n++ {
		err := os.Link(temp, path) // fails if there is one
		if !errors.Is(err, fs.ErrExist) {
			return path, err
		}
		path = filepath.Join(dir, fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, extension), n, extension))
	}
	return "", fmt.Errorf("%s: %w, with each number up to %d too", name, fs.ErrExist, workspace.MaxNames)
}

// writeNew makes a file of that name in dir, or of the name with a number where there is one
// already, from what fill writes. A file has its name only when it is whole and synced.
func writeNew(dir, name string, replace bool, fill func(w io.Writer) error) (string, error) {
	f, err := os.CreateTemp(dir, ".saved-*")
	if err != nil {
		return "", sysexits.CantCreate.With(err)
	}
	defer os.Remove(f.Name())
	filled := fill(f)
	if err := notDamage(filled); err != nil {
		_ = f.Close()
		return "", err
	}
	err = f.Chmod(os.FileMode(0o666 &^ workspace.Umask()))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", sysexits.IOErr.With(err)
	}
	path, err := giveName(f.Name(), dir, name, replace)
	if err != nil {
		return "", sysexits.CantCreate.With(err)
	}
	if err := disk.SyncDir(dir); err != nil {
		return "", sysexits.IOErr.With(err)
	}
	return path, filled
}
