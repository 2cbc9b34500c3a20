package conn

import (
	"slices"
	"testing"
)

// heard is a Scribe that keeps what it is told.
type heard []string

func (h *heard) Client(b []byte, state string) { *h = append(*h, state+" C:"+string(b)) }
func (h *heard) Server(b []byte)               { *h = append(*h, "S:"+string(b)) }
func (h *heard) Secured()                      { *h = append(*h, "TLS") }

// A reply that a session writes while it is fed, as a long listing, comes after its command:
// a scribe that does not know the command can't tell what the reply has.
func TestRepliesComeAfterTheirCommand(t *testing.T) {
	var got heard
	p := &tap{scribe: &got}
	p.server([]byte("+OK hello"))
	p.feeding = true
	p.server([]byte("+OK 2 messages"))
	p.server([]byte("1 100"))
	p.fed([]byte("LIST"), "transaction")
	p.server([]byte("."))
	p.feeding = true
	p.fed(nil, "transaction") // the machine has taken nothing
	if want := []string{"S:+OK hello", "transaction C:LIST", "S:+OK 2 messages1 100", "S:."}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
