package localmail

import (
	"net"
	"os"
	"sync"

	"postrider/engine/host/unixsocket"
)

// The bounds for local users. A connection over maxConns or maxPerUser is closed; a message
// over maxAtWork or maxUserWork gets the answer Busy. Root and the server's user do not count
// for maxConns and maxAtWork: other users cannot keep out the mail of the system.
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

// counter counts by user, and in all apart from the users of the system.
type counter struct {
	mu     sync.Mutex
	byUser map[uint32]int
	all    int
}

// ofSystem reports whether a user is root or the server's user. They may use the store and the
// admin socket too.
func ofSystem(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

// enter counts one more for uid, unless max or maxOfUser is reached.
func (c *counter) enter(uid uint32, max, maxOfUser int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byUser[uid] >= maxOfUser || c.all >= max && !ofSystem(uid) {
		return false
	}
	if c.byUser == nil {
		c.byUser = make(map[uint32]int)
	}
	if !ofSystem(uid) {
		c.all++
	}
	c.byUser[uid]++
	return true
}

// leave counts one less for uid.
func (c *counter) leave(uid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ofSystem(uid) {
		c.all--
	}
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
