package login

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"postrider/codec/sasl"
	"postrider/storage"
)

// What SignIn may say, in words for the one that signs in.
var (
	// ErrDenied: the name and the password don't go together.
	ErrDenied = errors.New("the name or the password is wrong")
	// ErrThrottled: too many from that network were wrong.
	ErrThrottled = errors.New("too many attempts failed from your network; try again later")
	// ErrBusy: the server has too much to do.
	ErrBusy = errors.New("the server is busy; try again in a moment")
)

// SignIn finds the account of a name and a password, and waits as long as that takes: it is
// Judge for goroutines that may wait. When ctx ends during a wait, SignIn returns its error.
func (d *Door) SignIn(ctx context.Context, user string, password []byte, from netip.Addr) (storage.Account, error) {
	a := &Attempt{Claim: sasl.Claim{Need: sasl.NeedPassword, User: user, Password: password}, From: from, Protocol: Web}
	judged := make(chan Outcome, 1)
	tell := func(o Outcome) { judged <- o }
	o, now := d.Judge(a, tell)
	if now && o.Verdict == Turn {
		if err := after(ctx, o.Wait, nil); err != nil {
			d.Abandon(a)
			return storage.Account{}, err
		}
		o, now = d.Judge(a, tell)
	}
	if !now {
		o = <-judged // as bounded as the pool's queue; the password is the pool's until then
	}
	switch o.Verdict {
	case Granted:
		return o.Account, nil
	case Denied:
		return storage.Account{}, after(ctx, o.Wait, ErrDenied)
	case TooMany:
		return storage.Account{}, after(ctx, o.Wait, ErrThrottled)
	}
	return storage.Account{}, ErrBusy
}

// after waits, and returns err, or why ctx has ended.
func after(ctx context.Context, d time.Duration, err error) error {
	select {
	case <-time.After(d):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
