package capture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"postrider/engine/front/web"
	"postrider/storage"
)

// searchHint is the hint in the search box of the page.
const searchHint = "Search all: words, to:, after:, has:attachment …"

// How much one search of the page looks at, before it offers to go on.
const (
	pageFound  = 50   // messages found
	pageLooked = 5000 // messages looked at
)

// row returns the row that the list of the page has for a message.
func row(m storage.Message) (web.Row, error) {
	s, err := summarize(m, &looked{ctx: context.Background(), limit: maxGlance})
	return rowOf(m.Entry(), &s), err
}

func rowOf(e storage.Entry, s *summary) web.Row {
	r := web.Row{ID: e.ID, Arrival: e.Arrival, Octets: s.Size, Files: s.Attachments > 0, Subject: cmp.Or(s.Subject, "(no subject)")}
	if s.From != nil {
		r.Address, r.From = s.From.Address, cmp.Or(s.From.Name, s.From.Address)
	}
	r.From = cmp.Or(r.From, s.Envelope.From, "(no sender)")
	if len(s.Envelope.To) > 0 {
		r.To = s.Envelope.To[0]
	}
	if more := len(s.Envelope.To) - 1; more > 0 {
		r.To = fmt.Sprintf("%s and %d more", r.To, more)
	}
	return r
}

// listing is the search of the page, in the syntax of the API.
func (v *View) listing(ctx context.Context, text string, from storage.MessageID) (l web.Listing, err error) {
	q, err := parseQuery(text, time.Local)
	if err != nil {
		return l, fmt.Errorf("%w: %w", web.ErrQuery, err)
	}
	if l.Total, _, err = v.cfg.Load().Store.Usage(v.cfg.Load().Account); err != nil {
		return l, err
	}
	next, open, peak := from, 0, 0
	err = v.eachFrom(ctx, from, func(m storage.Message) (bool, error) {
		e := m.Entry()
		if len(l.Rows) == pageFound || l.Looked == pageLooked {
			l.More = e.ID
			return false, nil
		}
		l.Looked++
		s, ok, sure, err := match(ctx, m, q, &peak)
		if ok {
			l.Rows = append(l.Rows, rowOf(e, &s))
		}
		if !sure {
			open++
		}
		next = e.ID - 1
		return true, err
	})
	if errors.Is(err, errTime) {
		l.More, err = next, nil
	}
	if open > 0 {
		l.Note = fmt.Sprintf("The text of %d messages is too long to search to its end; they are not listed.", open)
	}
	return l, err
}
