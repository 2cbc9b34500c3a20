package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Command is a POP3 command of a Profile.
type Command struct {
	Stage   Stage // StageStat, StageList, StageUidl, StageTop, StageRetr or StageDele
	Percent int   // the part of the messages, spread evenly; 100 for the first three, which are asked once
}

// Profile is what a client does in a maildrop: STAT, LIST and UIDL once, in their
// order, and then with each message TOP, RETR and DELE, in theirs.
type Profile []Command

// ParseProfile reads "stat,uidl,top,retr=50%,dele=30%". One of stat, list and uidl
// has to be there: they give the number of messages.
func ParseProfile(text string) (Profile, error) {
	var p Profile
	bad := func(format string, args ...any) (Profile, error) {
		return nil, fmt.Errorf("profile %q: %s; expected commands such as stat,uidl,top,retr=50%%,dele=30%%", text, fmt.Sprintf(format, args...))
	}
	for word := range strings.SplitSeq(strings.ToLower(text), ",") {
		name, part, partial := strings.Cut(word, "=")
		e := Command{Stage: stages, Percent: 100}
		for _, stage := range []Stage{StageStat, StageList, StageUidl, StageTop, StageRetr, StageDele} {
			if stage.String() == name {
				e.Stage = stage
			}
		}
		if e.Stage == stages {
			return bad("unknown command %q", name)
		}
		if p.has(e.Stage) {
			return bad("duplicate command %s", name)
		}
		if partial {
			n, err := strconv.Atoi(strings.TrimSuffix(part, "%"))
			if e.Percent = n; err != nil || n < 1 || n > 100 || !strings.HasSuffix(part, "%") {
				return bad("invalid part %q: expected 1%% to 100%%", part)
			}
			if e.once() {
				return bad("%s is asked once and takes no part of the messages", name)
			}
		}
		p = append(p, e)
	}
	if !slices.ContainsFunc(p, Command.once) {
		return bad("expected one of stat, list and uidl, which give the number of messages")
	}
	return p, nil
}

// once reports whether the command is asked once, not for each message.
func (e Command) once() bool {
	return e.Stage == StageStat || e.Stage == StageList || e.Stage == StageUidl
}

// takes reports whether the command is asked for a message: for Percent of each 100 in
// a row.
func (e Command) takes(number int) bool {
	return number*e.Percent/100 > (number-1)*e.Percent/100
}

// Reads reports whether a command is asked for each message.
func (p Profile) Reads() bool {
	return slices.ContainsFunc(p, func(e Command) bool { return !e.once() })
}

func (p Profile) has(stage Stage) bool {
	return slices.ContainsFunc(p, func(e Command) bool { return e.Stage == stage })
}
