package loop

// Handler is what a connection does. All its methods are called on the goroutine
// of the connection's loop, never two at a time and never one inside another:
// Conn methods called in a callback take note, and what follows from them
// (Closed, kept input presented again) is called after the callback has returned.
// A Handler may call any Conn method in any callback and must not block.
type Handler interface {
	// Input presents what the peer sent and returns how many octets of it are
	// consumed, 0 to len(in). The rest is kept by the connection and presented
	// again, with what followed it, when more has arrived or after Conn.Resume.
	// in is borrowed until Input returns. If Input closes the connection, its
	// result is ignored.
	Input(c *Conn, in []byte) (consumed int)
	// Drained is called once after Conn.WantDrained, when no output is pending in
	// user space and the socket takes more.
	Drained(c *Conn)
	// EOF is called once, when the peer has sent FIN. Nothing new will come, but
	// kept input may be presented again by Conn.Resume, and output still reaches a
	// peer that has only half-closed. A handler with nothing left to do calls
	// Conn.Close.
	EOF(c *Conn)
	// Timeout is called once when the deadline of Conn.SetDeadline has passed.
	Timeout(c *Conn)
	// Closed is the last call, made exactly once, when the descriptor is closed.
	// err is nil if the handler ended the connection and nothing failed on the way;
	// otherwise it is the failure.
	Closed(c *Conn, err error)
}

// Task is work for the goroutine of a loop; see Loop.Post. Post keeps the
// interface value only, so a Task with pointer receivers is posted without an
// allocation.
type Task interface {
	Run()
}
