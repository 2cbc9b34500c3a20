//go:build !tlsio_keep

package tlsio

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// After a handshake a tls.Conn keeps 3.5 KB that only traffic needs, and 20 KB once
// a full record came in; for ten thousand silent sessions that is their memory four
// times over. There is no public way to release it (golang/go#43563), so its
// buffers are found by reflection. If crypto/tls changes so that they are not what
// they were when this was written, nothing is released: see the test, which fails
// then. Build with the tag tlsio_keep to do without.

// layout is where a tls.Conn has its buffers.
var layout = findLayout(reflect.TypeFor[tls.Conn]())

type offsets struct {
	rawInput, hand, input uintptr
	known                 bool
}

func findLayout(conn reflect.Type) offsets {
	rawInput, a := conn.FieldByName("rawInput")
	hand, b := conn.FieldByName("hand")
	input, c := conn.FieldByName("input")
	buffer := reflect.TypeFor[bytes.Buffer]()
	if !a || !b || !c || rawInput.Type != buffer || hand.Type != buffer || input.Type != reflect.TypeFor[bytes.Reader]() {
		return offsets{}
	}
	return offsets{rawInput.Offset, hand.Offset, input.Offset, true}
}

// releaseIdle gives back the buffers of a session in which nothing is half read,
// and reports whether it did. No other goroutine may use conn meanwhile.
func releaseIdle(conn *tls.Conn) bool {
	if !layout.known {
		return false
	}
	at := unsafe.Pointer(conn)
	rawInput := (*bytes.Buffer)(unsafe.Add(at, layout.rawInput))
	hand := (*bytes.Buffer)(unsafe.Add(at, layout.hand))
	input := (*bytes.Reader)(unsafe.Add(at, layout.input))
	if rawInput.Len() > 0 || hand.Len() > 0 || input.Len() > 0 {
		return false
	}
	*rawInput, *hand, *input = bytes.Buffer{}, bytes.Buffer{}, bytes.Reader{}
	return true
}
