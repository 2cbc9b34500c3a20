package agent

import (
	"fmt"
	"strings"
	"testing"

	"postrider/engine/relay/queue"
)

// A dialogue of any length has its first lines, its last one, and a bounded size.
func TestDialoguesAreBounded(t *testing.T) {
	a := &attempt{session: &session{kept: (*dialogue)(nil).begin()}, outcome: new(queue.Attempt)}
	const lines = 5000
	for i := range lines {
		a.kept.add(fmt.Sprintf("<-  250 %d %s", i, strings.Repeat("x", 100)))
	}
	a.keepTalk()
	talk := &a.outcome.Talk
	size := 0
	for _, l := range talk.Dialogue {
		size += len(l)
	}
	if n := len(talk.Dialogue); size > maxDialogue+200 || size < maxDialogue/2 || n+talk.LeftOut != lines {
		t.Errorf("%d octets, %d lines, %d left out", size, n, talk.LeftOut)
	}
	if last := talk.Dialogue[len(talk.Dialogue)-1]; !strings.Contains(last, fmt.Sprint(" ", lines-1, " ")) || !strings.Contains(talk.Dialogue[0], " 0 ") {
		t.Errorf("%q %q", talk.Dialogue[0], last)
	}
}
