package store

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/storage"
)

// UndeleteCommand is "postrider undelete".
func UndeleteCommand() *cobra.Command {
	var t workspace.Target
	var u undeleting
	cmd := &cobra.Command{
		Use:   "undelete NAME[@DOMAIN]",
		Short: "Bring deleted mail of an account back",
		Long: `Bring deleted mail of an account back into its maildrop: all that is kept, or what --since
and --id select. A message comes back with its octets, its place and its unique-id, so that
POP3 clients take it for the message that it was; if another message has got the unique-id
meanwhile, it gets another one, and the output says so. Quotas do not prevent it.

Mail that clients have deleted or that has expired is kept for storage.keep_deleted. It is not
in the maildrop, and no quota counts it. The store of a running server is asked; clients see
what is back at their next login.`,
		Example: `  postrider undelete alice --list
  postrider undelete alice --since 2h
  postrider undelete alice --since "2026-11-30 08:00" --dry-run
  postrider undelete alice --id 6H0C0B78W0000`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := u.prepare(time.Now()); err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				return u.run(ws, cmd.OutOrStdout(), args[0])
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&u.since, "since", "", "mail that was deleted since: 2h, 3d, 2026-11-30, \"2026-11-30 08:00\", or RFC 3339")
	fs.StringSliceVar(&u.ids, "id", nil, "the message with this id or unique-id; may be repeated")
	fs.BoolVar(&u.list, "list", false, "list what could be undeleted, and change nothing")
	fs.BoolVar(&u.dryRun, "dry-run", false, "say what would be undeleted, and change nothing")
	fs.BoolVar(&u.asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

// undeleting is one call of undelete.
type undeleting struct {
	since                string
	ids                  []string
	list, dryRun, asJSON bool

	after time.Time // from since
}

// deletedLine is a deleted message in the output.
type deletedLine struct {
	ID      string    `json:"id"`
	UIDL    string    `json:"uidl"`
	Octets  int64     `json:"octets"`
	Arrival time.Time `json:"arrival"`
	Deleted time.Time `json:"deleted"`
	Until   time.Time `json:"until"`
	// What became of it.
	Undeleted bool   `json:"undeleted"`
	NewUIDL   string `json:"new_uidl,omitempty"`
	There     bool   `json:"there,omitempty"` // the same message is in the maildrop already

	message storage.MessageID
}

// prepare checks the flags.
func (u *undeleting) prepare(now time.Time) error {
	if u.since == "" {
		return nil
	}
	if age, err := config.ParseDuration(u.since); err == nil && age >= 0 {
		u.after = now.Add(-age)
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, u.since, time.Local); err == nil {
			u.after = at
			return nil
		}
	}
	return sysexits.Usage.With(fmt.Errorf("--since %q: expected a time (2026-11-30, \"2026-11-30 08:00\", RFC 3339) or how long ago (2h, 3d)", u.since))
}

func (u *undeleting) run(ws *workspace.Workspace, out io.Writer, name string) error {
	a, err := ws.AccountNamed(name)
	if err != nil {
		return err
	}
	lines, err := u.find(ws, a)
	if err != nil {
		return err
	}
	if !u.list && !u.dryRun {
		if err := undelete(ws, a, lines); err != nil {
			return err
		}
	}
	switch {
	case u.asJSON:
		return workspace.PrintJSON(out, lines)
	case u.list:
		return printDeleted(out, lines)
	}
	return u.report(out, ws, a, lines)
}

// find finds the selected messages.
func (u *undeleting) find(ws *workspace.Workspace, a storage.Account) ([]deletedLine, error) {
	lines, missing := []deletedLine{}, slices.Clone(u.ids)
	err := ws.Deleted(a.ID, func(d storage.DeletedMessage) bool {
		l := deletedLine{
			ID: d.ID.String(), UIDL: string(d.AppendUIDL(nil)), Octets: d.Octets(),
			Arrival: d.Arrival, Deleted: d.Deleted, Until: d.Until, message: d.ID,
		}
		isIt := func(id string) bool { return strings.EqualFold(id, l.ID) || id == l.UIDL }
		if d.Deleted.Before(u.after) || len(u.ids) > 0 && !slices.ContainsFunc(u.ids, isIt) {
			return true
		}
		missing = slices.DeleteFunc(missing, isIt)
		lines = append(lines, l)
		return true
	})
	if err == nil && len(missing) > 0 {
		err = sysexits.NoInput.With(fmt.Errorf("no deleted message of %s has the id %s (see --list); nothing was changed", workspace.Mailbox(a), strings.Join(missing, ", ")))
	}
	return lines, err
}

// undeleteStep is how many messages one request brings back.
const undeleteStep = 10_000

// undelete brings the messages back, and notes in lines what became of them.
func undelete(ws *workspace.Workspace, a storage.Account, lines []deletedLine) error {
	at := make(map[storage.MessageID]*deletedLine, len(lines))
	ids := make([]storage.MessageID, len(lines))
	for i := range lines {
		ids[i], at[lines[i].message] = lines[i].message, &lines[i]
	}
	for step := range slices.Chunk(ids, undeleteStep) {
		back, err := ws.Undelete(a.ID, step)
		for _, b := range back {
			l := at[b.ID]
			l.Undeleted, l.There, l.NewUIDL = !b.There, b.There, b.UIDL
		}
		if err != nil {
			return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
		}
	}
	return nil
}

func printDeleted(out io.Writer, lines []deletedLine) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tUNIQUE-ID\tOCTETS\tARRIVED\tDELETED\tKEPT UNTIL")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", l.ID, l.UIDL, l.Octets, l.Arrival.Local().Format(time.DateTime), l.Deleted.Local().Format(time.DateTime), l.Until.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// report says what was done, or would be.
func (u *undeleting) report(out io.Writer, ws *workspace.Workspace, a storage.Account, lines []deletedLine) error {
	var messages, octets int64
	for _, l := range lines {
		switch {
		case l.There:
			fmt.Fprintf(out, "message %s stays deleted: the maildrop has the same message again, with the unique-id %s\n", l.ID, l.UIDL)
			continue
		case l.NewUIDL != "":
			fmt.Fprintf(out, "message %s has the unique-id %s now, another message has %s: clients fetch it again\n", l.ID, l.NewUIDL, l.UIDL)
		case !l.Undeleted && !u.dryRun: // its time was over meanwhile
			continue
		}
		messages++
		octets += l.Octets
	}
	words := "%s: %d messages, %d octets are back\n"
	if u.dryRun {
		words = "%s: %d messages, %d octets would be back\n"
	}
	if _, err := fmt.Fprintf(out, words, workspace.Mailbox(a), messages, octets); err != nil {
		return err
	}
	if keep := ws.Config.Storage.KeepDeleted; len(lines) == 0 && keep == 0 {
		fmt.Fprintln(out, "deleted mail is not kept: storage.keep_deleted is 0")
	} else if len(lines) == 0 {
		fmt.Fprintf(out, "nothing fits among what was deleted during the last %s (storage.keep_deleted)\n", config.FormatDays(keep))
	}
	return nil
}
