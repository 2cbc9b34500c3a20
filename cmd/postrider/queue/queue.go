package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/address"
	"postrider/storage"
)

// Command is "postrider queue".
func Command() *cobra.Command {
	return workspace.Group("queue", "List, hold, release, try, return and remove the mail that waits for other hosts",
		listCommand(), showCommand(), catCommand(), statCommand(),
		holdCommand(), releaseCommand(), requeueCommand(), flushCommand(), deleteCommand(), bounceCommand())
}

// selectionHelp is what the commands of the queue say of their arguments.
const selectionHelp = `A message that goes to several domains has an entry for each. ID names all entries
of a message, ID-PART one of them (ID-0 is the first), ALL the whole queue, and
"-" stands for ids on the standard input. Flags narrow that down, and alone select
from the whole queue; all of them have to fit.`

// selection is which entries of the queue a command is about.
type selection struct {
	domain, from, status string
	older, younger       string
	held                 bool
	limit                int64
	given                func(flag string) bool
	skip                 func(*storage.QueueEntry) bool // what the command is not about; nil: nothing
}

// flags adds the flags of a selection to cmd.
func (s *selection) flags(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.StringVar(&s.domain, "to-domain", "", "entries for this domain")
	f.StringVar(&s.from, "from", "", "entries from this address; '<>': notifications")
	f.StringVar(&s.older, "older", "", "entries that came longer ago than this: 30m, 4h, 5d")
	f.StringVar(&s.younger, "younger", "", "entries that came since: 30m, 4h, 5d")
	f.StringVar(&s.status, "error", "", "entries whose last attempt ended in this status, or one that begins so: 4, 4.4, 4.4.1")
	f.BoolVar(&s.held, "held", false, "entries that are held")
	f.Int64Var(&s.limit, "limit", 0, "at most so many entries; 0: all")
	s.given = f.Changed
	return cmd
}

// isAll says whether nothing was selected at all, by id or by flag.
func (s *selection) isAll(ids []string) bool {
	for _, flag := range []string{"to-domain", "from", "older", "younger", "error", "held", "limit"} {
		if s.given(flag) {
			return false
		}
	}
	return len(ids) == 0
}

var statusForm = regexp.MustCompile(`^[245](\.\d{1,3}){0,2}$`)

// filter is the flags as the store understands them.
func (s *selection) filter(now time.Time) (f storage.QueueFilter, err error) {
	f.Domain = address.FoldDomain(strings.TrimSuffix(s.domain, "."))
	if strings.Contains(f.Domain, "@") {
		return f, sysexits.Usage.With(fmt.Errorf("--to-domain %s: a domain is wanted, not an address", s.domain))
	}
	if s.given("from") {
		path := strings.TrimSuffix(strings.TrimPrefix(s.from, "<"), ">")
		f.ReversePath = &path
	}
	if s.status != "" && !statusForm.MatchString(s.status) {
		return f, sysexits.Usage.With(fmt.Errorf("--error %s: want a status such as 4.4.1, or its beginning, 4.4 or 4", s.status))
	}
	f.Status = s.status
	if s.older != "" {
		age, err := parseAge(s.older)
		if err != nil {
			return f, sysexits.Usage.With(fmt.Errorf("--older %w", err))
		}
		f.ArrivedBefore = now.Add(-age)
	}
	if s.younger != "" {
		age, err := parseAge(s.younger)
		if err != nil {
			return f, sysexits.Usage.With(fmt.Errorf("--younger %w", err))
		}
		f.ArrivedAfter = now.Add(-age)
	}
	if s.given("held") {
		f.Held = &s.held
	}
	if s.limit < 0 {
		return f, sysexits.Usage.With(fmt.Errorf("--limit %d: want a number from 0 on", s.limit))
	}
	return f, nil
}

// parseAge reads a duration in days, "5d", or as Go writes one, "1h30m".
func parseAge(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * 24 * float64(time.Hour))
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s: want a duration such as 30m, 4h or 5d", s)
	}
	return d, nil
}

// wanted is one id as it was given.
type wanted struct {
	id    storage.EntryID
	whole bool // all entries of the message
}

func (w wanted) String() string {
	if w.whole {
		return w.id.Message.String()
	}
	return entryName(w.id)
}

// entryName is an entry's id with its part, also the first one: without a part, an
// id means the whole message.
func entryName(id storage.EntryID) string {
	return id.Message.String() + "-" + strconv.FormatUint(uint64(id.Part), 10)
}

// parseWanted reads an id, perhaps with the mark that a listing puts behind it.
func parseWanted(text string) (wanted, error) {
	text = strings.TrimRight(text, "*!")
	id, err := storage.ParseEntryID(text)
	if err != nil {
		return wanted{}, sysexits.Usage.With(fmt.Errorf("%q: %w (see \"postrider queue list\")", text, err))
	}
	return wanted{id, !strings.Contains(text, "-")}, nil
}

// readIDs reads the ids of the arguments; "-" is those of in. No ids: all of the queue.
func readIDs(args []string, in io.Reader) (ids []wanted, all bool, err error) {
	add := func(text string) error {
		w, err := parseWanted(text)
		if err == nil {
			ids = append(ids, w)
		}
		return err
	}
	for _, arg := range args {
		switch arg {
		case "ALL":
			all = true
		case "-":
			words := bufio.NewScanner(in)
			words.Split(bufio.ScanWords)
			for err == nil && words.Scan() {
				err = add(words.Text())
			}
			err = errors.Join(err, sysexits.IOErr.With(words.Err()))
		default:
			err = add(arg)
		}
		if err != nil {
			return nil, false, err
		}
	}
	if all && len(ids) > 0 {
		return nil, false, sysexits.Usage.With(errors.New("ALL and ids exclude each other"))
	}
	return ids, all || len(args) == 0, nil
}

// selected is a selection that was read: what a command is to look at.
type selected struct {
	filter storage.QueueFilter
	whole  bool     // the queue, not ids
	ids    []wanted // when not whole
	limit  int64
	skip   func(*storage.QueueEntry) bool
}

// read reads the flags and the ids of args; "-" is those of in.
func (s *selection) read(args []string, in io.Reader) (*selected, error) {
	filter, err := s.filter(time.Now())
	if err != nil {
		return nil, err
	}
	ids, whole, err := readIDs(args, in)
	if err != nil {
		return nil, err
	}
	return &selected{filter, whole, ids, s.limit, s.skip}, nil
}

// each calls f for each entry that is selected, until f returns false. An id that
// selects nothing is an error, which comes after the others were looked at.
func each(ws *workspace.Workspace, s *selected, f func(*storage.QueueEntry) bool) error {
	left, more := s.limit, true
	waits := suspensions(ws)
	take := func(e *storage.QueueEntry) bool {
		waits.explain(e)
		if s.skip != nil && s.skip(e) {
			return true
		}
		left--
		more = f(e) && left != 0
		return more
	}
	filter := s.filter
	if s.whole {
		return ws.Queued(filter, take)
	}
	var missing []error
	for _, w := range s.ids {
		filter.Message = w.id.Message
		found := false
		err := ws.Queued(filter, func(e *storage.QueueEntry) bool {
			if !w.whole && e.ID != w.id {
				return true
			}
			found = true
			return take(e)
		})
		if err != nil || !more {
			return errors.Join(append(missing, err)...)
		}
		if !found {
			missing = append(missing, sysexits.NoUser.With(fmt.Errorf("%s is not in the queue, or the flags leave it out (\"postrider why %s\" says what became of it)", w, w.id.Message)))
		}
	}
	return errors.Join(missing...)
}
