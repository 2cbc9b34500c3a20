package smtpclient

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// The caller may bring the SASL exchange; what comes of it is as with our own.
func TestChoose(t *testing.T) {
	var offered []string
	f := func(x *Exchange, err error, dialogue, want string) {
		t.Helper()
		offered = nil
		cfg := Config{Helo: "client.example", Choose: func(o []string) (*Exchange, error) {
			offered = slices.Clone(o)
			return x, err
		}}
		var s Session
		var e Effects
		s.Init(&cfg)
		s.Begin(&Transaction{ReversePath: "a@x", Recipients: []Recipient{{ForwardPath: "b@x"}}}, &e)
		var said strings.Builder
		var in []byte
		for line := range strings.Lines("220 mx\n250-mx\n250 AUTH FOO bar\n" + dialogue) {
			in = append(in, strings.TrimSuffix(line, "\n")+"\r\n"...)
			in = in[s.Feed(in, &e):]
			said.Write(e.Send)
			if e.Outcome != nil {
				said.WriteString("! " + e.Outcome.Results[0].Reply)
			}
			e.Reset()
		}
		if got := strings.TrimPrefix(strings.ReplaceAll(said.String(), "\r\n", "|"), "EHLO client.example|"); got != want {
			t.Errorf("%q: %q, want %q", dialogue, got, want)
		}
	}
	proven := true
	exchange := func(initial string) *Exchange {
		return &Exchange{
			Mechanism: "FOO", Initial: []byte(initial), Proven: func() bool { return proven },
			Respond: func(challenge []byte) ([]byte, error) {
				if string(challenge) == "bad" {
					return nil, errors.New("no such thing")
				}
				return append([]byte("re:"), challenge...), nil
			},
		}
	}
	f(nil, nil, "", "MAIL FROM:<a@x>|")
	if !slices.Equal(offered, []string{"FOO", "bar"}) {
		t.Errorf("offered: %q", offered)
	}
	f(nil, errors.New("none will do"), "", "QUIT|! none will do")
	f(exchange("hi"), nil, "334 eA==\n235 ok\n", "AUTH FOO aGk=|cmU6eA==|MAIL FROM:<a@x>|")
	f(exchange(""), nil, "334 \n235 ok\n", "AUTH FOO|cmU6|MAIL FROM:<a@x>|")
	f(exchange("hi"), nil, "334 YmFk\n", "AUTH FOO aGk=|! AUTH FOO: no such thing")
	f(exchange("hi"), nil, "334 ?\n", "AUTH FOO aGk=|! AUTH FOO: illegal base64 data at input byte 0")
	f(exchange("hi"), nil, "535 5.7.8 wrong\n", "AUTH FOO aGk=|QUIT|! 535 5.7.8 wrong")
	proven = false
	f(exchange("hi"), nil, "235 ok\n", "AUTH FOO aGk=|! the host accepted the login without proving that it knows the password: it may be an impostor")
}
