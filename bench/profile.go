package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Errand is a command of a visit to a maildrop.
type Errand struct {
	Stage   Stage // StageStat, StageList, StageUidl, StageTop, StageRetr or StageDele
	Percent int   // of the messages, spread evenly; of the first three, which are asked once: 100
}

// Profile is what a client does in a maildrop: STAT, LIST and UIDL once, in their
// order, and then with each message TOP, RETR and DELE, in theirs.
type Profile []Errand

// ParseProfile reads "stat,uidl,top,retr=50%,dele=30%". One of stat, list and uidl
// has to be there: they tell how many messages there are.
func ParseProfile(text string) (Profile, error) {
	var p Profile
	bad := func(format string, args ...any) (Profile, error) {
		return nil, fmt.Errorf("profile %q: %s; it is commands such as stat,uidl,top,retr=50%%,dele=30%%", text, fmt.Sprintf(format, args...))
	}
	for word := range strings.SplitSeq(strings.ToLower(text), ",") {
		name, part, partial := strings.Cut(word, "=")
		e := Errand{Stage: stages, Percent: 100}
		for _, stage := range []Stage{StageStat, StageList, StageUidl, StageTop, StageRetr, StageDele} {
			if stage.String() == name {
				e.Stage = stage
			}
		}
		if e.Stage == stages {
			return bad("there is no command %q", name)
		}
		if p.has(e.Stage) {
			return bad("%s comes twice", name)
		}
		if partial {
			n, err := strconv.Atoi(strings.TrimSuffix(part, "%"))
			if e.Percent = n; err != nil || n < 1 || n > 100 || !strings.HasSuffix(part, "%") {
				return bad("%q is not a part from 1%% to 100%%", part)
			}
			if e.once() {
				return bad("%s is asked once, and not of a part of the messages", name)
			}
		}
		p = append(p, e)
	}
	if !slices.ContainsFunc(p, Errand.once) {
		return bad("without stat, list or uidl it isn't known how many messages there are")
	}
	return p, nil
}

// once reports whether this is asked of the maildrop, not of each message.
func (e Errand) once() bool {
	return e.Stage == StageStat || e.Stage == StageList || e.Stage == StageUidl
}

// takes reports whether message number is of the part. Of each 100 in a row it is
// Percent.
func (e Errand) takes(number int) bool {
	return number*e.Percent/100 > (number-1)*e.Percent/100
}

// Reads reports whether something is asked of each message.
func (p Profile) Reads() bool {
	return slices.ContainsFunc(p, func(e Errand) bool { return !e.once() })
}

func (p Profile) has(stage Stage) bool {
	return slices.ContainsFunc(p, func(e Errand) bool { return e.Stage == stage })
}
