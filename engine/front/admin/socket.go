package admin

import (
	"context"
	"fmt"
	"net"

	"postrider/engine/host/unixsocket"
)

// Listen creates the socket. It replaces one on which no server listens any more. The caller
// removes it.
func Listen(path string) (*net.UnixListener, error) {
	l, err := unixsocket.Listen(path, 0o600)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return l, nil
}

// dial connects to the socket.
func dial(ctx context.Context, path string) (net.Conn, error) {
	c, err := unixsocket.Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	return c, nil
}
