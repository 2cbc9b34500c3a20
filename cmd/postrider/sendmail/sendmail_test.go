package sendmail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/accounts"
	"postrider/cmd/postrider/queue"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/postrider/store"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/smtp"
	"postrider/engine/config"
	"postrider/engine/front/localmail"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

// commands are what the tests run: sendmail as main makes it, and the commands that it
// does the work of.
var commands = []func() *cobra.Command{
	func() *cobra.Command {
		return Command(Others{List: queue.Print, Flush: queue.Flush, Aliases: accounts.TakeSystemAliases})
	},
	accounts.AccountCommand, accounts.AliasCommand, queue.Command, queue.MailqCommand, store.ExportCommand,
}

func withQueue(t *testing.T) (*shelltest.Shell, *shelltest.Queue, *shelltest.Relay) {
	t.Helper()
	return shelltest.WithQueue(t, commands...)
}

func TestParse_Success(t *testing.T) {
	f := func(line string, want arguments) {
		t.Helper()
		got, err := parse(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			return
		}
		sender, wanted := "nobody's", "nobody's"
		if got.sender != nil {
			sender = *got.sender
		}
		if want.sender != nil {
			wanted = *want.sender
		}
		got.sender, want.sender = nil, nil
		if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", want) || sender != wanted {
			t.Errorf("%s: got %+v from %s\nwant %+v from %s", line, *got, sender, want, wanted)
		}
	}
	from := func(s string) *string { return &s }
	to := []string{"a@b", "c"}
	f("", arguments{})
	f("a@b c", arguments{recipients: to})
	f("-t -i", arguments{fromHeader: true, wholeInput: true})
	f("-ti", arguments{fromHeader: true, wholeInput: true})
	f("-tif x@y a@b c", arguments{fromHeader: true, wholeInput: true, sender: from("x@y"), recipients: to})
	f("-fx@y a@b c", arguments{sender: from("x@y"), recipients: to})
	f("a@b -r x@y -oi c", arguments{sender: from("x@y"), wholeInput: true, recipients: to})
	f("-f <> -- a@b c", arguments{sender: from(""), recipients: to})
	f("-f <x@y>", arguments{sender: from("x@y")})
	f("-- -t", arguments{recipients: []string{"-t"}})
	f("-oem -odi -o7 -oAx -om -em -e q -B 8BITMIME -L tag -h 3 -p smtp -X file -O Timeout=1m -A c -G -U -n -m -x -d0-99.1 -c", arguments{})
	f("-F Al -v", arguments{fullName: "Al", verbose: true})
	f("-bm -C file", arguments{target: workspace.Target{File: "file"}})
	f("--config file --data=dir", arguments{target: workspace.Target{File: "file", Data: "dir"}})
	f("-bs", arguments{mode: modeSMTP})
	f("-b p", arguments{mode: modeList})
	f("-bv c", arguments{mode: modeVerify, recipients: []string{"c"}})
	f("-bi", arguments{mode: modeAliases})
	f("-I", arguments{mode: modeAliases})
	f("-q", arguments{mode: modeFlush})
	f("-qI06F", arguments{mode: modeFlush, flushID: "06F"})
	f("-qRx.example -v", arguments{mode: modeFlush, flushTo: "x.example", verbose: true})
	f("-N success,delay -R hdrs -V a+b", arguments{notify: smtp.NotifySuccess | smtp.NotifyDelay, ret: smtp.RetHdrs, envID: "a+2Bb"})
	f("-Nnever -RFULL", arguments{notify: smtp.NotifyNever, ret: smtp.RetFull})
	f("-t --help", arguments{mode: modeHelp, fromHeader: true})
}

func TestParse_Failure(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		if _, err := parse(strings.Fields(line)); err == nil || workspace.ExitCode(err) != sysexits.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
	f("-k", "unknown option -k")
	f("-tk", "unknown option -k")
	f("-tf", "-f needs a value")
	f("--frob", "unknown option --frob")
	f("--config", "needs a value")
	f("-bd", "postrider serve")
	f("-bx", "-bs, -bp")
	f("-q15m", "relay.retry")
	f("-qX", "-qR and a domain")
	f("-qI", "-qR and a domain")
	f("-N sometimes", "success, failure and delay")
	f("-R some", "full or hdrs")
	f("-N never,delay", "never, or")
	f("-V "+strings.Repeat("x", 101), "100 octets")
}

// A "." alone ends typed mail, however the input is cut, and nothing else does.
func TestUntilDot(t *testing.T) {
	long := strings.Repeat("x", 70000)
	f := func(in, want string) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			if got, err := io.ReadAll(newUntilDot(r)); string(got) != want || err != nil {
				t.Errorf("%.20q: %.20q %v", in, got, err)
			}
		}
	}
	f("", "")
	f("a\n.\nb\n", "a\n")
	f("a\r\n.\r\nb\r\n", "a\r\n")
	f("a\n.", "a\n")
	f(".\n", "")
	f("a\n..\n.b\n .\nc.\n", "a\n..\n.b\n .\nc.\n")
	f(long+".\nb\n.\nc", long+".\nb\n")
	f(strings.Repeat("x", 64<<10)+".\nb", strings.Repeat("x", 64<<10)+".\nb")
	if _, err := io.ReadAll(newUntilDot(iotest.ErrReader(io.ErrUnexpectedEOF))); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}

func TestSendmail(t *testing.T) {
	s, q, _ := withQueue(t)
	s.Want(0, "x\n", "account add alice --password-stdin")
	s.Want(0, "", "alias add team alice")
	out := s.Want(0, "To: team, Bob <Bob@X.example>\nCc: eve@y.example\nBcc: mallory@x.example\nSubject: hi\n\n.dot\n.\nnot this\n",
		"sendmail -t -v -f carol -F Carol -R hdrs -N delay", "stored as ")
	id := strings.TrimSpace(strings.TrimPrefix(out, "stored as "))
	if got := q.Waiting(); !slices.Equal(got, []string{"x.example: Bob@X.example mallory@x.example", "y.example: eve@y.example"}) {
		t.Error(got)
	}
	e := q.Entries[0]
	if env := e.Envelope; env.ReversePath != "carol@a.example" || env.Ret != smtp.RetHdrs || !strings.HasPrefix(env.Origin, "userid ") || e.Recipients[0].Notify != smtp.NotifyDelay {
		t.Errorf("%+v", e)
	}
	text := s.Want(0, "", "queue cat "+id, "sender: carol@a.example", "recipient: Bob@X.example\n", "recipient: eve@y.example\n",
		"(postrider, from userid ", " id "+id+";", "From: \"Carol\" <carol@a.example>\n", "\n\n.dot\n*** MESSAGE FILE END")
	if strings.Contains(text, "Bcc") {
		t.Error(text)
	}
	dir := filepath.Join(s.Dir, "out")
	s.Want(0, "", "export alice --format eml --out "+dir, "1 messages")
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	mail, err := os.ReadFile(files[0])
	if err != nil || !strings.HasPrefix(string(mail), "Return-Path: <carol@a.example>\r\nDelivered-To: alice@a.example\r\nReceived: by ") || !strings.HasSuffix(string(mail), "\r\n\r\n.dot\r\n") {
		t.Errorf("%v %q", err, mail)
	}

	s.Want(0, "x\n.\ny\n", "sendmail -i -f <> bob@x.example,eve@y.example")
	if got := q.Entries[len(q.Entries)-1]; got.Envelope.ReversePath != "" || !strings.Contains(string(q.Bodies[got.ID.Message]), "\r\n\r\nx\r\n..\r\ny\r\n") {
		t.Errorf("%+v %q", got, q.Bodies[got.ID.Message])
	}
	n := len(q.Entries)
	s.Want(sysexits.Usage, "x\n", "sendmail", "no recipients", "-t")
	s.Want(sysexits.Usage, "x\n", "sendmail -k alice", "sendmail --help")
	s.Want(sysexits.DataErr, "To: a b\n\n", "sendmail -t", "a comma is missing")
	s.Want(sysexits.NoUser, "x\n", "sendmail nobody", "nobody@a.example: no such user", "nothing was sent")
	if len(q.Entries) != n {
		t.Error("something was sent")
	}
	for i, to := range []string{"nobody bob@x.example", "bob@x.example,a..b@-c.example eve@x.example", "alice gone@a.example"} {
		s.Want(0, "x\n", "sendmail "+to)
		if len(q.Entries) != n+2+i*2-i/2 {
			t.Errorf("%s: %d entries", to, len(q.Entries)-n)
		}
	}
	if got := q.Waiting()[n:]; !slices.Equal(got, []string{"x.example: bob@x.example", "a.example: nobody@a.example",
		"x.example: bob@x.example eve@x.example", "a.example: a..b@-c.example", "a.example: gone@a.example"}) {
		t.Errorf("%q", got)
	}
	s.Want(sysexits.Usage, "x\n", "sendmail -v", "no recipients")
	s.Want(0, "", "sendmail --help", "-bs", "Exit codes")
}

// everyRoom has memory for everything.
type everyRoom struct{}

func (everyRoom) Reserve(int64) bool { return true }
func (everyRoom) Release(int64)      {}

// Where the server has stored nothing and takes nothing at its socket for all users, the users
// of the system store the message all the same. What it may have stored is not stored again.
func TestTheMailSocketTakesNothing(t *testing.T) {
	s, q, _ := withQueue(t)
	cfg, err := config.Load(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	asked, answer := 0, error(nil)
	l, err := localmail.Listen(cfg.LocalMailSocket())
	if err != nil {
		t.Fatal(err)
	}
	end := localmail.Serve(l, everyRoom{}, func(context.Context, incoming.Mail, func(int64) bool) (incoming.Result, error) {
		asked++
		return incoming.Result{}, answer
	})
	t.Cleanup(func() { end(context.Background()) })
	f := func(what error, code sysexits.Code, entries int, texts ...string) {
		t.Helper()
		before := len(q.Entries)
		asked, answer = 0, what
		s.Want(code, "x\n", "sendmail bob@x.example", texts...)
		if n := len(q.Entries) - before; n != entries || asked != 1 {
			t.Errorf("%v: %d entries, the socket was asked %d times", what, n, asked)
		}
	}
	f(fmt.Errorf("%w: %w", storage.ErrTemporary, localmail.ErrEnding), 0, 1)
	f(fmt.Errorf("%w: the disk is full", storage.ErrTemporary), sysexits.TempFail, 0, "the disk is full")
	f(storage.ErrInvalid, sysexits.DataErr, 0)
	f(incoming.ErrNoRecipients, sysexits.Usage, 0)
}

// Only an answer of which the message is not stored leads to another way.
func TestAnswerError(t *testing.T) {
	f := func(kind localmail.Kind, code sysexits.Code, another bool) {
		t.Helper()
		err := answerError(localmail.Answer{Kind: kind, Error: "why"})
		_, got := errors.AsType[errNotTaken](err)
		if c, _ := sysexits.Of(err); c != code || got != another || err.Error() != "why" {
			t.Errorf("%s: %v %d %t", kind, err, c, got)
		}
	}
	f(localmail.Busy, sysexits.TempFail, true)
	f(localmail.Ending, sysexits.TempFail, true)
	f(localmail.Later, sysexits.TempFail, false)
	f(localmail.Usage, sysexits.Usage, false)
	f(localmail.Data, sysexits.DataErr, false)
	f(localmail.NoUser, sysexits.NoUser, false)
	f("a kind of a later version", sysexits.TempFail, false)
}

// The other things that sendmail is called for.
func TestOtherNames(t *testing.T) {
	s, q, r := withQueue(t)
	shelltest.Fill(q)
	s.Want(0, "x\n", "account add alice --password-stdin")
	s.Want(0, "", "alias add team alice")
	shelltest.Same(t, "-bp", s.Want(0, "", "sendmail -bp"), s.Want(0, "", "queue list"))
	s.Want(0, "", "sendmail -bv Team x@o.example", "Team@a.example... deliverable: maildrop alice@a.example\n", "x@o.example... deliverable: relayed to o.example (MX)\n")
	s.Want(sysexits.NoUser, "", "sendmail -bv nobody alice", "nobody@a.example... no such user", "alice@a.example... deliverable")
	s.Want(sysexits.Usage, "", "sendmail -bv", "addresses")
	s.Want(0, "", "sendmail -q", "2 entries made due")
	s.Want(0, "", "sendmail -qRX.example", "2 entries made due")
	s.Want(0, "", "sendmail -qI0000000000001", "1 entry made due")
	s.Want(sysexits.NoUser, "", "sendmail -qI0000000000009", "not in the queue")
	if got := r.Takes(); got != "flush ; flush x.example; flush ; flush " {
		t.Errorf("the relay was told %q", got)
	}
}

// -bs is the server's SMTP, octet for octet, both ways to their ends.
func TestSpeaksSMTP(t *testing.T) {
	s, q, _ := withQueue(t)
	s.Want(sysexits.TempFail, "", "sendmail -bs", "smtp.listen")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	q.SMTP = []string{l.Addr().String()}
	got := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- err.Error()
			return
		}
		defer c.Close()
		fmt.Fprint(c, "220 here\r\n")
		all, _ := io.ReadAll(bufio.NewReader(c))
		fmt.Fprint(c, "221 bye\r\n")
		got <- string(all)
	}()
	if out := s.Want(0, "EHLO x\r\nQUIT\r\n", "sendmail -bs"); out != "220 here\r\n221 bye\r\n" {
		t.Errorf("%q", out)
	}
	if in := <-got; in != "EHLO x\r\nQUIT\r\n" {
		t.Errorf("%q", in)
	}
	none := shelltest.New(t, commands...)
	none.Want(sysexits.TempFail, "", "sendmail -bs", "no server runs", "postrider serve")
}

// Commands that are called without knowing of us find the configuration.
func TestSystemConfig(t *testing.T) {
	s, q, _ := withQueue(t)
	shelltest.Fill(q)
	t.Setenv("POSTRIDER_CONFIG", s.Config)
	s.Config = ""
	s.Want(0, "", "mailq", "0000000000001")
	s.Want(0, "", "sendmail -bp", "0000000000001")
	s.Want(sysexits.Config, "", "mailq --config "+filepath.Join(s.Dir, "none"), "no such file")
}
