package life

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postrider/cmd/postrider/queue/entry"
	"postrider/engine/host/history"
)

// recipient has the facts about one recipient of an event.
type recipient map[history.Fact]history.Value

func (r recipient) text(f history.Fact) string { return entry.Printable(r[f].Text) }

// address is the recipient, with the address that led to it.
func (r recipient) address(f history.Fact) string {
	if original := r.text(history.Original); original != "" {
		return "<" + r.text(f) + "> by <" + original + ">"
	}
	return "<" + r.text(f) + ">"
}

// recipients are the recipients of an event. about has the facts about the whole event.
func recipients(r *history.Read) (about recipient, all []recipient, lists map[history.Fact][]string) {
	about, lists = recipient{}, map[history.Fact][]string{}
	now := about
	for _, v := range r.Facts {
		switch v.Fact {
		case history.Line, history.Tried:
			lists[v.Fact] = append(lists[v.Fact], v.Text)
			continue
		case history.LeftOut:
			about[v.Fact] = v
			continue
		case history.To, history.Queued:
			now = recipient{}
			all = append(all, now)
		}
		now[v.Fact] = v
	}
	return about, all, lists
}

// clock is a time of the day, to the millisecond.
func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }

// printEvent prints an event.
func printEvent(out io.Writer, r *history.Read) {
	about, all, lists := recipients(r)
	fmt.Fprintf(out, "%s  ", r.At.Local().Format("2006-01-02 15:04:05.000 -0700"))
	switch r.Kind {
	case history.Received:
		printReceived(out, r, about, all)
	case history.More:
		fmt.Fprintln(out, "more recipients of this")
		printResults(out, all)
	case history.Attempt:
		printAttempt(out, r, about, all, lists)
	case history.Notified:
		fmt.Fprintf(out, "%s: message %s\n", about.text(history.Words), about.text(history.Other))
		for _, to := range all {
			fmt.Fprintf(out, "  to <%s>\n", to.text(history.To))
		}
	case history.Act:
		fmt.Fprint(out, about.text(history.Words))
		if account := about.text(history.Account); account != "" {
			fmt.Fprintf(out, " into the maildrop %s", account)
		}
		fmt.Fprintf(out, " by %s\n", about.text(history.By))
	case history.Deleted:
		fmt.Fprintf(out, "deleted from the maildrop %s by %s", about.text(history.Account), about.text(history.By))
		if client := about.text(history.Client); client != "" {
			fmt.Fprintf(out, ", client %s", client)
		}
		fmt.Fprintln(out)
	default:
		fmt.Fprintln(out, "an event of a later version")
	}
	if n := about[history.LeftOut].Number; n > 0 {
		fmt.Fprintf(out, "  %d more facts or lines had no room\n", n)
	}
}

// printReceived prints how a message came and where it was put.
func printReceived(out io.Writer, r *history.Read, about recipient, all []recipient) {
	words := []string{"stored; it came by " + about.text(history.Door)}
	add := func(lead string, f history.Fact, tail string) {
		if text := about.text(f); text != "" {
			words = append(words, lead+text+tail)
		}
	}
	add("client ", history.Client, "")
	add("helo=<", history.Helo, ">")
	add("", history.Proto, "")
	add("", history.TLS, "")
	add("", history.Origin, "")
	add("account ", history.Login, "")
	add("by ", history.Mechanism, "")
	add("by ", history.By, "")
	add("about message ", history.Other, "")
	fmt.Fprintln(out, strings.Join(words, ", "))
	from := "from <" + about.text(history.Sender) + ">, "
	if about.text(history.Door) == "import" {
		from = ""
	}
	fmt.Fprintf(out, "  %s%d octets", from, about[history.Size].Number)
	if id := about.text(history.MessageID); id != "" {
		fmt.Fprintf(out, ", message-id %s", id)
	}
	fmt.Fprintln(out)
	printStages(out, r, about)
	if found := strings.Fields(about[history.Results].Text); len(found) > 0 {
		fmt.Fprintf(out, "  %s\n", entry.Printable(strings.Join(found, " ")))
	}
	printResults(out, all)
}

// printResults prints what became of recipients.
func printResults(out io.Writer, all []recipient) {
	for _, to := range all {
		switch {
		case to.text(history.Queued) != "":
			fmt.Fprintf(out, "  queued for %s\n", to.address(history.Queued))
		case to.text(history.Status) == "":
			fmt.Fprintf(out, "  delivered to the maildrop %s\n", to.address(history.To))
		default:
			fmt.Fprintf(out, "  %s %s, %s, relay=%s: %s\n", to.text(history.Status), to.address(history.To), to.text(history.DSN),
				cmp.Or(to.text(history.Relay), "none"), to.text(history.Reason))
		}
	}
}

// printStages prints when the parts of a message came.
func printStages(out io.Writer, r *history.Read, about recipient) {
	var stages []string
	for _, s := range []struct {
		fact history.Fact
		name string
	}{{history.Connected, "connected"}, {history.Mailed, "MAIL"}, {history.Began, "first octet"}, {history.Ended, "whole"}} {
		if v, ok := about[s.fact]; ok {
			at := clock(v.Time())
			if s.fact == history.Connected {
				at = v.Time().Local().Format("15:04:05")
			}
			stages = append(stages, s.name+" "+at)
		}
	}
	if len(stages) > 0 {
		fmt.Fprintf(out, "  %s, stored %s\n", strings.Join(stages, ", "), clock(r.At))
	}
}

// printAttempt prints an attempt with its results and its dialogue.
func printAttempt(out io.Writer, r *history.Read, about recipient, all []recipient, lists map[history.Fact][]string) {
	if words := about.text(history.Words); words != "" {
		fmt.Fprintf(out, "%s", words)
	} else {
		fmt.Fprintf(out, "attempt %d", about[history.Try].Number)
	}
	fmt.Fprintf(out, " to %s", about.text(history.Domain))
	if tls := about.text(history.Connection); tls != "" {
		fmt.Fprintf(out, ", %s", tls)
	}
	if n := about[history.Uses].Number; n > 1 {
		fmt.Fprintf(out, ", message %d of the connection", n)
	}
	fmt.Fprintln(out)
	if began, ok := about[history.Began]; ok {
		fmt.Fprintf(out, "  begun %s", clock(began.Time()))
		if handed, ok := about[history.Handed]; ok {
			fmt.Fprintf(out, ", MAIL %s", clock(handed.Time()))
		}
		fmt.Fprintf(out, ", over %s\n", clock(r.At))
	}
	for _, host := range lists[history.Tried] {
		fmt.Fprintf(out, "  tried %s\n", entry.Printable(host))
	}
	printResults(out, all)
	for _, line := range lists[history.Line] {
		fmt.Fprintf(out, "    %s\n", entry.Printable(line))
	}
	if due, ok := about[history.Due]; ok {
		fmt.Fprintf(out, "  next attempt at %s\n", entry.Time(due.Time()))
	}
}

// Object is an event for scripts, with a key for each fact.
func Object(r *history.Read) map[string]any {
	about, all, lists := recipients(r)
	o := about.object()
	o["time"], o["event"], o["id"] = r.At.UTC(), r.Kind.String(), r.ID.String()
	if len(all) > 0 {
		list := []map[string]any{}
		for _, to := range all {
			list = append(list, to.object())
		}
		o["recipients"] = list
	}
	for f, lines := range lists {
		o[f.Name()] = lines
	}
	if _, ok := about[history.Sender]; !ok && r.Kind == history.Received && about.text(history.Door) != "import" {
		o[history.Sender.Name()] = "" // the null path
	}
	if client, address, ok := strings.Cut(about[history.Client].Text, "["); ok {
		delete(o, history.Client.Name())
		o["client_name"], o["client_address"] = client, strings.TrimSuffix(address, "]")
	}
	return o
}

func (r recipient) object() map[string]any {
	o := map[string]any{}
	for f, v := range r {
		switch {
		case f.IsTime():
			o[f.Name()] = v.Time().UTC()
		case f.IsNumber():
			o[f.Name()] = v.Number
		default:
			o[f.Name()] = v.Text
		}
	}
	return o
}

// isFor reports whether the recipient is looked for, by the address it had or has.
func (r recipient) isFor(s *history.Search) bool {
	return s.IsFor(r[history.To].Text) || s.IsFor(r[history.Queued].Text) || s.IsFor(r[history.Original].Text)
}

// PrintLine prints an event as a line of the list that a search has found. The recipients
// that are looked for come first.
func PrintLine(out io.Writer, r *history.Read, s *history.Search) {
	about, all, _ := recipients(r)
	slices.SortStableFunc(all, func(a, b recipient) int {
		switch first := a.isFor(s); {
		case first == b.isFor(s):
			return 0
		case first:
			return -1
		}
		return 1
	})
	var words []string
	switch {
	case about.text(history.Door) == "import":
		words = []string{"imported"}
	case r.Kind == history.Received, about.text(history.Sender) != "":
		words = []string{"from <" + about.text(history.Sender) + ">"}
	}
	for i, to := range all {
		if i == 3 {
			words = append(words, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		switch {
		case to.text(history.Queued) != "":
			words = append(words, "queued for "+to.address(history.Queued))
		case to.text(history.Status) == "":
			words = append(words, "delivered to "+to.address(history.To))
		default:
			words = append(words, to.text(history.Status)+" "+to.address(history.To)+" "+to.text(history.DSN))
		}
	}
	fmt.Fprintf(out, "%s  %s  %s\n", r.At.Local().Format("2006-01-02 15:04:05.000"), r.ID, strings.Join(words, ", "))
}
