package incoming

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"postrider/codec/message"
	"postrider/storage"
)

// Compose completes the header as Submit does, and counts the octets that it writes.
func TestCompose(t *testing.T) {
	m := Mail{
		Sender: "boss", FullName: "The Boss", Recipients: []string{"alice, Bob <bob@b.example>", "alice@a.example"}, FromHeader: true, At: at,
		Text: strings.NewReader("To: carol@c.example\nBcc: dave\nSubject: x\n\n.dot\nbare\rcr\né\n"),
	}
	var out bytes.Buffer
	c, err := Compose(&out, m, "mx.a.example", "a.example")
	if err != nil {
		t.Fatal(err)
	}
	if c.Sender != "boss@a.example" || c.UTF8 || !c.EightBit || c.Size != int64(out.Len()) {
		t.Errorf("%+v, %d octets", c, out.Len())
	}
	if got := strings.Join(c.Recipients, " "); !slices.Contains(c.Recipients, "dave@a.example") || !slices.Contains(c.Recipients, "carol@c.example") || strings.Count(got, "alice@") != 1 {
		t.Errorf("the recipients are %s", got)
	}
	header, body, _ := bytes.Cut(out.Bytes(), []byte("\r\n\r\n"))
	for _, name := range []string{"From", "Date", "Message-ID", "To", "Subject"} {
		if _, ok := message.Find(append(header, "\r\n"...), name); !ok {
			t.Errorf("no %s in %q", name, header)
		}
	}
	if bytes.Contains(header, []byte("dave")) || !bytes.Contains(header, []byte("boss@a.example")) {
		t.Errorf("%q", header)
	}
	if !bytes.HasPrefix(body, []byte(".dot\r\n")) || strings.ContainsAny(strings.ReplaceAll(string(body), "\r\n", ""), "\r\n") {
		t.Errorf("%q", body)
	}
}

func TestComposeRefuses(t *testing.T) {
	for _, m := range []Mail{
		{Text: strings.NewReader("Subject: for no one\n\nx\n")},
		{Text: strings.NewReader("x"), Recipients: []string{"alice, two words@x.test"}},
		{Text: strings.NewReader("x"), Recipients: []string{"alice"}, Sender: "a b@c"},
	} {
		var out bytes.Buffer
		if c, err := Compose(&out, m, "mx.a.example", "a.example"); !errors.Is(err, storage.ErrInvalid) || out.Len() > 0 {
			t.Errorf("%+v, %q, %v", c, out.String(), err)
		}
	}
	m := Mail{Recipients: []string{"jürgen@b.example"}, Text: strings.NewReader("")}
	var out bytes.Buffer
	if c, err := Compose(&out, m, "mx.a.example", "a.example"); err != nil || !c.UTF8 || c.EightBit || c.Sender != "" {
		t.Errorf("%+v, %v", c, err)
	}
}
