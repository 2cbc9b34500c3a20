package localmail

import (
	"net"
	"sync"

	"postrider/engine/host/unixsocket"
)

// The bounds of what local users may use. A connection over maxConns or maxPerUser is
// closed; a message over the half of them is told to come again.
const (
	maxConns    = 64
	maxPerUser  = 16
	maxAtWork   = 16
	maxUserWork = 8
)

// listener knows which user connects, and closes connections that are too many.
type listener struct {
	*net.UnixListener
	open counter
}

// counter counts for each user, and in all.
type counter struct {
	mu     sync.Mutex
	byUser map[uint32]int
	all    int
}

// enter counts one more of uid, if there are fewer than these.
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

// leave counts one less of uid.
func (c *counter) leave(uid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.byUser[uid]--; c.byUser[uid] == 0 {
		delete(c.byUser, uid)
	}
}

// conn is a connection of a known user.
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
