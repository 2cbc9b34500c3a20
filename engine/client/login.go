package client

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/xdg-go/scram"
)

// exchange is our side of one SASL exchange (RFC 4422).
type exchange struct {
	mechanism string
	initial   []byte
	// respond answers a challenge.
	respond func(challenge []byte) ([]byte, error)
	// proven reports whether the host may accept the login: with SCRAM it has to
	// show first that it knows the password as well.
	proven func() bool
}

// choose picks the best of the mechanisms that a host offers: nil, none will do. The
// password itself is told only where SCRAM is not offered.
func (h *Host) choose(offered []string, c net.Conn) (*exchange, error) {
	has := func(name string) bool {
		return slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, name) })
	}
	switch {
	case has("SCRAM-SHA-256-PLUS") || has("SCRAM-SHA-256"):
		return h.scram(c, has("SCRAM-SHA-256-PLUS"), has("SCRAM-SHA-256"))
	case has("PLAIN"):
		return &exchange{
			mechanism: "PLAIN", initial: []byte("\x00" + h.User + "\x00" + h.Password),
			respond: answers(), proven: always,
		}, nil
	case has("LOGIN"):
		return &exchange{mechanism: "LOGIN", respond: answers(h.User, h.Password), proven: always}, nil
	}
	return nil, nil
}

func always() bool { return true }

// answers gives one text after the other, whatever the challenges are.
func answers(texts ...string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) {
		if len(texts) == 0 {
			return nil, errors.New("the host sent more challenges than the mechanism has")
		}
		text := texts[0]
		texts = texts[1:]
		return []byte(text), nil
	}
}

// scram is SCRAM-SHA-256 (RFC 7677), bound to the TLS connection where the host can do
// that. Where it offers no -PLUS, the exchange tells it that we can: so an attacker
// that removed -PLUS from the offer is detected.
func (h *Host) scram(c net.Conn, plus, bare bool) (*exchange, error) {
	client, err := scram.SHA256.NewClient(h.User, h.Password, "")
	if err != nil {
		return nil, err
	}
	x := &exchange{mechanism: "SCRAM-SHA-256"}
	var conv *scram.ClientConversation
	binding, can := bindingOf(c)
	switch {
	case plus && can:
		x.mechanism, conv = "SCRAM-SHA-256-PLUS", client.NewConversationWithChannelBinding(binding)
	case !bare:
		return nil, errors.New("the host offers SCRAM-SHA-256-PLUS only, and this connection has no channel binding")
	case can:
		conv = client.NewConversationAdvertisingChannelBinding()
	default:
		conv = client.NewConversation()
	}
	first, err := conv.Step("")
	x.initial = []byte(first)
	x.respond = func(challenge []byte) ([]byte, error) {
		text, err := conv.Step(string(challenge))
		return []byte(text), err
	}
	x.proven = conv.Valid
	return x, err
}

// bindingOf is what a connection has for a channel binding: the exporter of TLS 1.3 (RFC 9266).
func bindingOf(c net.Conn) (scram.ChannelBinding, bool) {
	under, ok := c.(*tls.Conn)
	if !ok {
		return scram.ChannelBinding{}, false
	}
	state := under.ConnectionState()
	if state.Version < tls.VersionTLS13 {
		return scram.ChannelBinding{}, false
	}
	binding, err := scram.NewTLSExporterBinding(&state)
	return binding, err == nil
}
