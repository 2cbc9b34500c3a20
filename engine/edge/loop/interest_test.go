package loop

import "testing"

func TestWant(t *testing.T) {
	const r, w = wantRead, wantWrite
	pending := backlog{b: []byte("x")}
	full := backlog{b: make([]byte, 16)}
	for _, test := range []struct {
		name string
		conn Conn
		want interest
	}{
		{"idle", Conn{limit: 16}, r},
		{"paused", Conn{limit: 16, paused: true}, 0},
		{"after FIN", Conn{limit: 16, eof: true}, 0},
		{"nothing may be read", Conn{limit: 0}, 0},
		{"kept fills the buffer", Conn{limit: 16, kept: full}, 0},
		{"some is kept", Conn{limit: 16, kept: pending}, r},
		{"output", Conn{limit: 16, out: pending}, r | w},
		{"output, paused", Conn{limit: 16, out: pending, paused: true}, w},
		{"stream", Conn{limit: 16, wantDrained: true}, r | w},
		{"stream after FIN", Conn{limit: 16, wantDrained: true, eof: true}, w},
		{"flushing", Conn{phase: flushing, out: pending, paused: true}, r | w},
		{"flushing after FIN", Conn{phase: flushing, out: pending, eof: true}, w},
		{"lingering", Conn{phase: lingering, paused: true, wantDrained: true}, r},
		{"dead", Conn{phase: dead, wantDrained: true, limit: 16}, 0},
		{"gone", Conn{phase: gone, wantDrained: true, limit: 16}, 0},
	} {
		test.conn.loop = &Loop{buf: make([]byte, 16)}
		if got := test.conn.want(); got != test.want {
			t.Errorf("%s: %b, want %b", test.name, got, test.want)
		}
	}
}
