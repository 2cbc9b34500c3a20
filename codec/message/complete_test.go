package message

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestCompletionQualifies(t *testing.T) {
	for in, want := range map[string]string{
		"root (Cron Daemon)":          "root@our.test (Cron Daemon)",
		"mdadm monitoring <root>":     "mdadm monitoring <root@our.test>",
		"<smartd>":                    "<smartd@our.test>",
		`"www data" , bin`:            `"www data"@our.test , bin@our.test`,
		"a@b.test, logwatch":          "a@b.test, logwatch@our.test",
		"team: x, y@z.test;":          "team: x@our.test, y@z.test;",
		"undisclosed-recipients:;":    "undisclosed-recipients:;",
		"john . doe":                  "john . doe@our.test",
		"two words":                   "two words",
		`"open`:                       `"open`,
		"(open root":                  "(open root",
		"<@relay.test:bob>":           "<@relay.test:bob>",
		"=?utf-8?q?J=C3=BCrgen?= <j>": "=?utf-8?q?J=C3=BCrgen?= <j@our.test>",
		"müller":                      "müller@our.test",
		"a,\r\n b":                    "a@our.test,\r\n b@our.test",
		"":                            "",
	} {
		got := string(appendQualified(nil, []byte(in+"\r\n"), "our.test", 1<<10))
		if got != want+"\r\n" {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCompletionReplacesEmptyFields(t *testing.T) {
	c := Completion{Domain: "our.test", MessageID: "new@our.test", From: "<me@our.test>", Date: time.Unix(1e9, 0).UTC()}
	for in, want := range map[string]string{
		"Message-ID: <>\r\nDate:\r\nFrom:  \r\n":                                              "Message-ID: <new@our.test>\r\nDate: Sun, 9 Sep 2001 01:46:40 +0000\r\nFrom: <me@our.test>\r\n",
		"Message-ID: nonsense\nDate: x\nFrom: a@b.test\n":                                     "Date: x\nFrom: a@b.test\nMessage-ID: <new@our.test>\r\n",
		"Message-Id: < >\r\nMessage-ID: <1@x>\r\nMessage-ID: <2@x>\r\nDate: y\r\nFrom: a\r\n": "Message-ID: <1@x>\r\nDate: y\r\nFrom: a@our.test\r\n",
		"Date: \r\n\t\r\nDate: y\r\nDate: z\r\nMessage-ID: <1@x>\r\nFrom: <>\r\n":             "Date: y\r\nMessage-ID: <1@x>\r\nFrom: <me@our.test>\r\n",
		"Bcc: s@x\r\nDate: y\r\nResent-Bcc: q\r\n r\r\nMessage-ID: <1@x>\r\nFrom: a@b\r\n":    "Date: y\r\nMessage-ID: <1@x>\r\nFrom: a@b\r\n",
	} {
		if got := string(c.Append(nil, []byte(in))); got != want {
			t.Errorf("%q:\n%q, want\n%q", in, got, want)
		}
	}
}

func TestCompletionFoldsWhatHasGrown(t *testing.T) {
	c := Completion{Domain: "a-long-name.of-a-host.our.test", MessageID: "1@x", From: "x@y"}
	got := c.Append(nil, []byte("To: "+strings.Repeat("u,", 400)+"v\r\n"))
	for line := range bytes.Lines(got) {
		if len(line) > 998 {
			t.Errorf("a line has %d octets", len(line))
		}
	}
	if n := bytes.Count(got, []byte("@a-long-name")); n != 401 {
		t.Errorf("%d addresses have a domain", n)
	}
}

func FuzzCompletion(f *testing.F) {
	f.Add([]byte("From: a (b)\r\nTo: \"c\" <d>, e:f;\r\n"))
	f.Fuzz(func(t *testing.T, header []byte) {
		c := Completion{Domain: "our.test", MessageID: "1@x", From: "x@y", Date: time.Unix(0, 0)}
		once := c.Append(nil, header)
		if len(once) > len(header)+maxQualified+1000 {
			t.Fatalf("%d octets became %d", len(header), len(once))
		}
		if twice := c.Append(nil, once); !bytes.Equal(once, twice) {
			t.Fatalf("%q\n%q", once, twice)
		}
	})
}
