package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/codec/smtp"
	"postrider/engine/admin"
	"postrider/storage"
)

func queueShow() *cobra.Command {
	var t target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID...",
		Short: "Print everything that is known of mail in the queue",
		Long: `Print everything that the queue knows of a message (ID) or of one entry of it
(ID-PART). What was tried before is told by "postrider why ID".`,
		Example: "  postrider queue show 06FV1Q2C80000\n  postrider queue show 06FV1Q2C80000-1 --json",
		Args:    atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, whole, err := readIDs(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return t.with(cmd.Context(), mustExist, func(d *desk) error {
				out := bufio.NewWriter(cmd.OutOrStdout())
				first := true
				err := d.each(&selected{ids: ids, whole: whole}, func(e *storage.QueueEntry) bool {
					if asJSON {
						return printLine(out, shownOf(e)) == nil
					}
					if !first {
						fmt.Fprintln(out)
					}
					first = false
					return showEntry(out, e) == nil
				})
				if flushed := out.Flush(); err == nil {
					err = exit(exIO, flushed)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	return t.flags(cmd)
}

// shown is an entry in the JSON of show.
type shown struct {
	Entry       string          `json:"entry"`
	Domain      string          `json:"domain"`
	State       string          `json:"state"`
	Sender      string          `json:"sender"` // "": the null path
	Origin      string          `json:"origin"`
	EnvID       string          `json:"envid,omitempty"`
	Ret         string          `json:"ret,omitempty"`
	Body        string          `json:"body,omitempty"`
	SMTPUTF8    bool            `json:"smtputf8"`
	Size        int64           `json:"message_size"`
	Arrival     time.Time       `json:"arrival"`
	Due         time.Time       `json:"due,omitzero"`
	Warned      bool            `json:"warned"`
	Attempts    int             `json:"attempts"`
	LastAttempt time.Time       `json:"last_attempt,omitzero"`
	Status      string          `json:"status,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	Peer        string          `json:"peer,omitempty"`
	Recipients  []shownPathLine `json:"recipients"`
}

type shownPathLine struct {
	Address string `json:"address"`
	ORcpt   string `json:"orcpt,omitempty"`
	Notify  string `json:"notify,omitempty"`
	Status  string `json:"status,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

func shownOf(e *storage.QueueEntry) shown {
	s := shown{
		Entry: entryName(e.ID), Domain: e.Domain, State: string(admin.StateOf(e, time.Now())),
		Sender: e.Envelope.ReversePath, Origin: e.Envelope.Origin, EnvID: e.Envelope.EnvID,
		Ret: retName(e.Envelope.Ret), Body: bodyName(e.Envelope.Body), SMTPUTF8: e.Envelope.SMTPUTF8,
		Size: e.Size(), Arrival: e.Arrival.UTC(), Warned: e.Warned, Attempts: e.Attempts,
		LastAttempt: e.LastAttempt.UTC(), Status: e.Status, Reason: e.Reason, Peer: e.Peer,
	}
	if !e.Held {
		s.Due = e.DueAt().UTC()
	}
	for i := range e.Recipients {
		r := &e.Recipients[i]
		s.Recipients = append(s.Recipients, shownPathLine{r.ForwardPath, r.ORcpt, notifyName(r.Notify), e.StatusOf(r), e.ReasonOf(r)})
	}
	return s
}

// showEntry prints an entry for people, without what it does not have.
func showEntry(out io.Writer, e *storage.QueueEntry) error {
	s := shownOf(e)
	utf8 := ""
	if s.SMTPUTF8 {
		utf8 = "yes"
	}
	fields := [][2]string{
		{"entry", s.Entry}, {"destination", s.Domain}, {"state", s.State}, {"sender", "<" + s.Sender + ">"}, {"origin", s.Origin},
		{"arrival", timeName(e.Arrival)}, {"size", fmt.Sprint(s.Size)},
		{"envid", s.EnvID}, {"ret", s.Ret}, {"body", s.Body}, {"smtputf8", utf8},
		{"attempts", fmt.Sprint(s.Attempts)}, {"last attempt", timeName(e.LastAttempt)}, {"peer", s.Peer},
		{"status", s.Status}, {"reason", s.Reason}, {"due", dueName(e, time.Now())},
	}
	if s.Warned {
		fields = append(fields, [2]string{"warned", "the sender was told that it is late"})
	}
	for _, f := range fields {
		if f[1] != "" {
			fmt.Fprintf(out, "%-13s %s\n", f[0]+":", printable(f[1]))
		}
	}
	for i := range e.Recipients {
		if err := showRecipient(out, e, &e.Recipients[i]); err != nil {
			return err
		}
	}
	return nil
}

// showRecipient prints a recipient, and its last attempt where that ended in
// another way than the entry's.
func showRecipient(out io.Writer, e *storage.QueueEntry, r *storage.QueuedRecipient) error {
	line := "<" + r.ForwardPath + ">"
	if r.ORcpt != "" {
		line += " orcpt=" + r.ORcpt
	}
	if r.Notify != 0 {
		line += " notify=" + notifyName(r.Notify)
	}
	if r.Status != "" || r.Reason != "" {
		line += ": " + strings.TrimSpace(e.StatusOf(r)+" "+e.ReasonOf(r))
	}
	_, err := fmt.Fprintf(out, "%-13s %s\n", "recipient:", printable(line))
	return err
}

// timeName is a time for people; nothing for the zero time.
func timeName(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 -0700")
}

// dueName says when an entry is tried next.
func dueName(e *storage.QueueEntry, now time.Time) string {
	switch {
	case e.Held:
		return "never: it is held (\"postrider queue release\")"
	case e.IsDue(now):
		return "now"
	}
	return timeName(e.DueAt())
}

func retName(r smtp.Ret) string { return [...]string{"", "FULL", "HDRS"}[min(r, 2)] }

func bodyName(b smtp.Body) string {
	return [...]string{"", "7BIT", "8BITMIME", "BINARYMIME"}[min(b, 3)]
}

func notifyName(n smtp.Notify) string {
	var words []string
	for i, word := range []string{"NEVER", "SUCCESS", "FAILURE", "DELAY"} {
		if n&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, ",")
}
