package localmail

import (
	"net"
	"sync"

	"postrider/engine/host/unixsocket"
)

// The bounds for local users. A connection over maxConns or maxPerUser is closed; a message
// over maxAtWork or maxUserWork gets the answer Busy.
const (
	maxConns    = 64
	maxPerUser  = 16
	maxAtWork   = 16
	maxUserWork = 8
)

// listener finds the user of each connection, and closes connections over the bounds.
type listener struct {
	*net.UnixListener
	open counter
}

// counter counts by user and in all.
type counter struct {
	mu     sync.Mutex
	byUser map[uint32]int
	all    int
}

// enter counts one more for uid, unless max or maxOfUser is reached.
func (c *counter) enter(uid uint32, max, maxOfUser int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= max || c.byUser[uid] >= maxOfUser {
		return false
	}
	if c.byUser == nil {
		c.byUser = make(map[uint32]int)
	}
	c.all++
	c.byUser[uid]++
	return true
}

// leave counts one less for uid.
func (c *counter) leave(uid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.byUser[uid]--; c.byUser[uid] == 0 {
		delete(c.byUser, uid)
	}
}

// conn is a connection and its user.
type conn struct {
	*net.UnixConn
	uid  uint32
	from *listener
	once sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := unixsocket.Peer(c)
		if err != nil || !l.open.enter(uid, maxConns, maxPerUser) {
			c.Close()
			continue
		}
		return &conn{UnixConn: c, uid: uid, from: l}, nil
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() { c.from.open.leave(c.uid) })
	return c.UnixConn.Close()
}
