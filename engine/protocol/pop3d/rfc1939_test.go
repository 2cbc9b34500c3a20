package pop3d

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"postrider/storage"
)

// Each test is named after the sentence that it holds the program to.

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func wantDeleted(t *testing.T, p *peer, ids ...storage.MessageID) {
	t.Helper()
	if got := p.session.AppendDeleted(nil); !reflect.DeepEqual(got, ids) {
		t.Errorf("deleted: got %v, want %v", got, ids)
	}
}

// RFC 1939 section 3: "A server MUST respond to an unrecognized, unimplemented, or
// syntactically invalid command by responding with a negative status indicator."
func TestRespondsToAnUnrecognizedCommandWithANegativeStatus(t *testing.T) {
	p := loggedIn(t, 1)
	for _, line := range []string{"XYZZY", "", "RETR", "STAT 1", "\xff\xfe", "AUTH PLAIN", "STLS"} {
		if got := p.send(line); !strings.HasPrefix(got, "-ERR ") || strings.Count(got, "\r\n") != 1 {
			t.Errorf("%q: got %q", line, got)
		}
	}
}

// RFC 1939 section 3: "A server MUST respond to a command issued when the session
// is in an incorrect state by responding with a negative status indicator."
func TestRespondsToACommandInAnIncorrectState(t *testing.T) {
	p := newPeer(testConfig(), 1)
	for _, line := range []string{"STAT", "LIST", "RETR 1", "DELE 1", "NOOP", "RSET", "TOP 1 1", "UIDL"} {
		want(t, p.send(line), "-ERR log in first\r\n")
	}
	p = loggedIn(t, 1)
	for _, line := range []string{"USER a", "PASS a", "UTF8"} {
		want(t, p.send(line), "-ERR not after login\r\n")
	}
}

// RFC 1939 section 3: "When the [autologout] timer expires, the session does NOT
// enter the UPDATE state--the server should close the TCP connection without
// removing any messages or sending any response to the client."
func TestWhenTheTimerExpiresNothingIsRemovedAndNothingSaid(t *testing.T) {
	p := loggedIn(t, 1, 2)
	p.send("DELE 1")
	asked := len(p.asked)
	p.replies = nil
	p.session.TimeOut(&p.effects)
	p.do()
	if !p.closed || len(p.replies) > 0 || len(p.asked) != asked {
		t.Errorf("closed %v, replies %q, asked %q", p.closed, p.replies, p.asked[asked:])
	}
	if n := p.session.Feed([]byte("QUIT\r\n"), &p.effects); n != 0 || len(p.effects.Reply) > 0 {
		t.Errorf("a closed session consumed %d octets and replied %q", n, p.effects.Reply)
	}
}

// RFC 1939 section 4: "If the client issues the QUIT command from the AUTHORIZATION
// state, the POP3 session terminates but does NOT enter the UPDATE state."
func TestQuitFromAuthorizationDoesNotEnterUpdate(t *testing.T) {
	p := newPeer(testConfig(), 1)
	want(t, p.send("QUIT"), "+OK goodbye\r\n")
	if !p.closed || len(p.asked) != 0 {
		t.Errorf("closed %v, asked %q", p.closed, p.asked)
	}
}

// RFC 1939 section 4: "After the POP3 server has opened the maildrop, it assigns a
// message-number to each message"; section 5: "note that messages marked as
// deleted are not listed", and the numbers of the others stay.
func TestMessagesMarkedAsDeletedAreNotListed(t *testing.T) {
	p := loggedIn(t, 100, 200, 300)
	want(t, p.send("DELE 2"), "+OK message 2 deleted\r\n")
	want(t, p.send("LIST"), "+OK 2 messages (400 octets)\r\n1 100\r\n3 300\r\n.\r\n")
	want(t, p.send("UIDL"), "+OK unique-id listing follows\r\n1 00000000000Z8\r\n3 00000000000ZA\r\n.\r\n")
	want(t, p.send("STAT"), "+OK 2 400\r\n")
	for _, line := range []string{"LIST 2", "UIDL 2", "RETR 2", "TOP 2 0", "DELE 2"} {
		want(t, p.send(line), "-ERR no such message\r\n")
	}
}

// RFC 1939 section 5: "the POP3 server issues a positive response consisting of
// "+OK" followed by a single space, the number of messages in the maildrop, a
// single space, and the size of the maildrop in octets."
func TestStatIsADropListing(t *testing.T) {
	want(t, loggedIn(t, 120, 200).send("STAT"), "+OK 2 320\r\n")
	want(t, loggedIn(t).send("STAT"), "+OK 0 0\r\n")
	want(t, loggedIn(t, 1<<32-1, 1<<32-1).send("STAT"), "+OK 2 8589934590\r\n")
}

// RFC 1939 section 5: "In order to simplify parsing, all POP3 servers are required
// to use a certain format for scan listings"; RETR announces the same octets.
func TestOctetsOfListAreThoseOfRetr(t *testing.T) {
	p := loggedIn(t, 120, 200)
	want(t, p.send("LIST 2"), "+OK 2 200\r\n")
	want(t, p.send("RETR 2"), "+OK 200 octets\r\n<2>.\r\n")
}

// RFC 1939 section 5: "The POP3 server does not actually delete the message until
// the POP3 session enters the UPDATE state." (of DELE)
func TestDeleDoesNotDeleteUntilUpdate(t *testing.T) {
	p := loggedIn(t, 1, 2, 3)
	asked := len(p.asked)
	p.send("DELE 3", "DELE 1")
	if len(p.asked) != asked {
		t.Errorf("DELE asked %q", p.asked[asked:])
	}
	wantDeleted(t, p, 1000, 1002)
	want(t, p.send("QUIT"), "+OK goodbye, messages deleted: 2\r\n")
	if len(p.asked) != asked+1 || !p.closed {
		t.Errorf("QUIT asked %q, closed %v", p.asked[asked:], p.closed)
	}
	want(t, string(p.session.Counts().AppendTo(nil)), "top=0/0, retr=0/0, del=2/3, size=6")
}

// RFC 1939 section 5: "If any messages have been marked as deleted by the POP3
// server, they are unmarked." (of RSET)
func TestRsetUnmarks(t *testing.T) {
	p := loggedIn(t, 1, 2)
	want(t, p.send("DELE 1", "DELE 2", "RSET"),
		"+OK message 1 deleted\r\n+OK message 2 deleted\r\n+OK 2 messages (3 octets)\r\n")
	wantDeleted(t, p)
	want(t, p.send("STAT", "DELE 1"), "+OK 2 3\r\n+OK message 1 deleted\r\n")
}

// RFC 1939 section 6: "If a session terminates for some reason other than a
// client-issued QUIT command, the POP3 session does NOT enter the UPDATE state and
// MUST not remove any messages from the maildrop."
func TestOnlyQuitRemovesMessages(t *testing.T) {
	f := func(name string, end func(p *peer)) {
		t.Helper()
		p := loggedIn(t, 1, 2)
		p.send("DELE 1")
		asked := len(p.asked)
		end(p)
		p.do()
		for _, q := range p.asked[asked:] {
			if strings.HasPrefix(q, fmt.Sprint(AskUpdate)) {
				t.Errorf("%s: an update was asked", name)
			}
		}
		if !p.closed {
			t.Errorf("%s: not closed", name)
		}
	}
	f("time-out", func(p *peer) { p.session.TimeOut(&p.effects) })
	f("shutdown", func(p *peer) { p.session.Shutdown(&p.effects) })
	f("too many errors", func(p *peer) { p.send(strings.Repeat("FOO\r\n", 101)) })
	f("half a QUIT", func(p *peer) { p.feed([]byte("QUIT\r")); p.session.TimeOut(&p.effects) })
	f("a message that can't be sent", func(p *peer) {
		p.verdicts = func(q Question) Verdict {
			if q == AskSent {
				return Temporary
			}
			return Yes
		}
		p.send("RETR 2", "QUIT")
	})
}

// RFC 1939 section 6: "Whether the removal was successful or not, the server then
// releases any exclusive-access lock on the maildrop and closes the TCP connection."
func TestClosesWhetherTheRemovalWasSuccessfulOrNot(t *testing.T) {
	p := loggedIn(t, 1)
	p.verdicts = func(Question) Verdict { return Temporary }
	want(t, p.send("DELE 1", "QUIT", "STAT"), "+OK message 1 deleted\r\n-ERR [SYS/TEMP] some deleted messages not removed\r\n")
	if !p.closed || p.session.Counts().Deleted != 0 {
		t.Errorf("closed %v, counts %+v", p.closed, p.session.Counts())
	}
}

// RFC 1939 section 7: "[PASS] may only be given in the AUTHORIZATION state
// immediately after a successful USER command".
func TestPassOnlyImmediatelyAfterUser(t *testing.T) {
	p := newPeer(testConfig())
	for _, between := range []string{"CAPA", "LANG", "UTF8", "USER", "FOO", "PASS", strings.Repeat("x", 600)} {
		p.send("USER mrose", between)
		want(t, p.send("PASS secret"), "-ERR USER comes before PASS\r\n")
	}
	if len(p.asked) != 0 {
		t.Errorf("asked %q", p.asked)
	}
}

// RFC 1939 section 7, of UIDL: "The unique-id of a message is an arbitrary
// server-determined string, consisting of one to 70 characters in the range 0x21
// to 0x7E".
func TestUniqueIDsAreOneTo70PrintableCharacters(t *testing.T) {
	p := newPeer(testConfig())
	p.listing.Append(1, 1)
	p.listing.Append(storage.MaxMessageID, 1)
	p.send("USER a", "PASS b")
	for _, line := range strings.Split(p.send("UIDL"), "\r\n")[1:3] {
		_, id, ok := strings.Cut(line, " ")
		if !ok || len(id) < 1 || len(id) > 70 || strings.Trim(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "" {
			t.Errorf("unique-id listing %q", line)
		}
	}
}

// RFC 1939 section 3: "Responses may be up to 512 characters long, including the
// terminating CRLF", in each language, with the largest numbers.
func TestResponsesAreAtMost512Octets(t *testing.T) {
	for l := range languages {
		for text, words := range languages[l].texts {
			if words == "" || len(words) > 400 || strings.ContainsAny(words, "\r\n") || strings.HasPrefix(words, "[") {
				t.Errorf("text %d in %s: %q", text, languages[l].tag, words)
			}
			if got, want := strings.Count(words, "#"), strings.Count(englishTexts[text], "#"); got != want {
				t.Errorf("text %d in %s has %d numbers, want %d", text, languages[l].tag, got, want)
			}
		}
	}
	for text, words := range englishTexts {
		if strings.IndexFunc(words, func(r rune) bool { return r > 126 }) >= 0 {
			t.Errorf("text %d is not ASCII before LANG chooses: %q", text, words)
		}
	}
}

// RFC 1939 section 13: "servers that answer -ERR to the USER command are giving
// potential attackers clues about which names are valid."
func TestUserGivesNoClueAboutNames(t *testing.T) {
	p := newPeer(testConfig())
	p.verdicts = func(Question) Verdict { return Denied }
	unknown := p.send("USER nobody", "PASS x")
	want(t, p.send("USER mrose", "PASS x"), unknown)
}

// RFC 2449 section 6.6: "the server MUST process each command in turn", also when
// a question is open: nothing after it is read.
func TestNothingIsConsumedWhileAQuestionIsOpen(t *testing.T) {
	var s Session
	var e Effects
	s.Init(testConfig(), "", Peer{Loopback: true})
	in := []byte("USER a\r\nPASS b\r\nQUIT\r\n")
	n := s.Feed(in, &e)
	if n != len("USER a\r\nPASS b\r\n") || e.Ask != AskLogin {
		t.Fatalf("consumed %d, asks %d", n, e.Ask)
	}
	if k := s.Feed(in[n:], &e); k != 0 {
		t.Errorf("consumed %d while a question is open", k)
	}
}

// A maildrop of a million messages is listed in pieces of about ReplyBudget.
func TestAMillionMessagesAreListedInPieces(t *testing.T) {
	const n = 1_000_000
	p := newPeer(testConfig())
	for i := range n {
		p.listing.Append(storage.MessageID(i+1), 1000)
	}
	p.send("USER a", "PASS b")
	s, e := &p.session, &p.effects
	s.Feed([]byte("LIST\r\n"), e)
	lines, pieces := 0, 0
	for {
		if len(e.Reply) > s.cfg.ReplyBudget+100 {
			t.Fatalf("a piece of %d octets", len(e.Reply))
		}
		lines += strings.Count(string(e.Reply), "\r\n")
		pieces++
		asks := e.Ask
		e.Reset()
		if asks == AskNothing {
			break
		}
		s.Answer(Answer{Verdict: Yes}, e)
	}
	if lines != n+2 || pieces < 100 {
		t.Errorf("%d lines in %d pieces", lines, pieces)
	}
}

// A peer that sends commands and reads nothing costs about ReplyBudget.
func TestRepliesOfABurstAreBounded(t *testing.T) {
	p := loggedIn(t, make([]int64, 1000)...)
	in := []byte(strings.Repeat("LIST\r\n", 10000))
	n := p.session.Feed(in, &p.effects)
	if p.effects.Ask != AskDrained || len(p.effects.Reply) > 2*testConfig().ReplyBudget || n == len(in) {
		t.Errorf("asks %d with %d octets of replies, consumed %d of %d", p.effects.Ask, len(p.effects.Reply), n, len(in))
	}
}

// A maildrop of which all is marked lists nothing.
func TestAllMessagesMarked(t *testing.T) {
	p := newPeer(testConfig())
	for i := range 100_000 {
		p.listing.Append(storage.MessageID(i+1), 1)
	}
	p.send("USER a", "PASS b")
	for i := range 100_000 {
		p.session.mark(i)
	}
	want(t, p.send("LIST"), "+OK 0 messages (0 octets)\r\n.\r\n")
	want(t, p.send("STAT"), "+OK 0 0\r\n")
}

// nextKept against its obvious twin.
func TestNextKept(t *testing.T) {
	p := loggedIn(t, make([]int64, 200)...)
	for i := range 200 {
		if i%7 < 3 || i > 60 && i < 140 || i > 190 {
			p.session.mark(i)
		}
	}
	for i := range 201 {
		slow := i
		for slow < 200 && p.session.isDeleted(slow) {
			slow++
		}
		if got := p.session.nextKept(i); got != slow {
			t.Errorf("nextKept(%d) = %d, want %d", i, got, slow)
		}
	}
}

// A password is kept no longer than its question is open.
func TestThePasswordIsForgotten(t *testing.T) {
	p := newPeer(testConfig())
	for _, v := range []Verdict{Denied, Temporary, Yes} {
		seen := ""
		p.verdicts = func(Question) Verdict { seen = p.session.secret; return v }
		p.send("USER mrose", "PASS secret")
		if seen != "secret" || p.session.secret != "" {
			t.Errorf("verdict %d: the question had %q, afterwards %q", v, seen, p.session.secret)
		}
	}
}

// Ten thousand idle sessions are two megabytes.
func TestAnIdleSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Session{}); n > 200 {
		t.Errorf("a Session has %d octets", n)
	}
	if p := loggedIn(t, make([]int64, 100000)...); p.session.marks != nil {
		t.Error("marks before the first DELE")
	}
}

// RFC 6856 section 2: UTF8 is remembered; the engine may ask.
func TestUTF8IsRemembered(t *testing.T) {
	p := newPeer(testConfig())
	if p.session.utf8 {
		t.Error("UTF8 before it was asked for")
	}
	want(t, p.send("UTF8"), "+OK UTF-8 enabled\r\n")
	if !p.session.utf8 {
		t.Error("UTF8 was forgotten")
	}
}

// A maildrop without a listing is an empty one.
func TestALoginWithoutListingIsAnEmptyMaildrop(t *testing.T) {
	p := newPeer(testConfig())
	p.listing = nil
	want(t, p.send("USER a", "PASS b", "STAT"), "+OK send the password\r\n+OK 0 messages (0 octets)\r\n+OK 0 0\r\n")
	if p.session.Listing() == nil {
		t.Error("no listing")
	}
}

// An answer that comes too late does nothing.
func TestAnAnswerToNothingIsIgnored(t *testing.T) {
	p := loggedIn(t, 1)
	p.send("DELE 1")
	p.session.Feed([]byte("RETR 1\r\nLIST\r\n"), &p.effects)
	p.session.TimeOut(&p.effects)
	p.effects.Reset()
	p.session.Answer(Answer{Verdict: Yes, Octets: 1}, &p.effects)
	if e := &p.effects; len(e.Reply) > 0 || e.Ask != AskNothing || e.Close {
		t.Errorf("it did %+v", e)
	}
}
