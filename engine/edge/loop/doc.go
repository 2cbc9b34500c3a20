// Package loop runs TCP connections on event loops: gnet's poller and socket code
// underneath (gnet/v2/pkg/netpoll, gnet/v2/pkg/socket), our own connection layer
// above. It knows nothing of mail. It builds on Linux only (epoll, timerfd).
//
//	g, err := loop.New(loop.Config{RecvBuffer: 256 << 10, NotSentLowat: 64 << 10})
//	lis, err := g.Listen(":25", []byte("421 busy\r\n"), func(c *loop.Conn) loop.Handler {
//		s := newSession(c)
//		c.Write(s.greeting())
//		c.SetDeadline(5 * time.Minute)
//		return s
//	})
//	g.Start()
//
// # Who may call what
//
// A Group has Loops; a Loop is one goroutine, which owns its connections. A
// connection stays on the loop that accepted it. All callbacks of a Handler, and
// all Tasks, run on the loop's goroutine and must not block it: a loop that waits
// keeps all its connections waiting. Conn methods may be called there only. The
// methods of Group, Listener and Loop may be called from anywhere, except that
// Group.Stop waits for the loops and so must not be called on one.
//
// Callbacks never nest. Inside one, a handler may call anything of any connection
// of its loop, Close and Abort of its own included; Closed, Drained and the
// presenting of kept input follow when the callback has returned. Nothing is called
// after Closed. A Conn is not used again for another connection, so a late
// completion that holds one is harmless: its methods do nothing, and Alive tells.
//
// # Reading
//
// A loop has one read buffer, in which Input sees what came: parsing there copies
// nothing. What Input does not consume is copied and presented again with what
// follows, or after Resume. There are three ways to read less:
//
//   - Input leaves octets: they are kept, up to Config.ReadBuffer; then nothing more
//     is read until Input takes some.
//   - Pause: the poller does not watch the connection for input any more. The
//     kernel's buffer fills, which Config.RecvBuffer bounds, and TCP stops the peer.
//   - SetReadLimit: a read takes no more than was reserved for it.
//
// While a connection does not read, neither its peer's FIN nor, if it does not
// write, a reset is noticed: a deadline should be set. What a peer sent before a
// reset is presented before Closed reports it.
//
// # Writing
//
// Write makes one write(2) at once, and copies what the kernel does not take. A
// handler gathers its output in a callback and writes it once. Large output
// is written in pieces: write one, call WantDrained, write the next in Drained. So
// a reader that stalls holds one piece, and Config.NotSentLowat bounds what the
// kernel holds beside it.
//
// # Ending
//
// Close is the orderly end: output is sent, FIN, what still comes is dropped until
// the peer's FIN or Config.Linger, close(2). Closing a socket with unread input
// would send a reset, which may destroy the last reply on its way. The handler is
// out of it at once; only Closed follows. A peer that takes less than 16 KiB of the output
// in Config.Stall is cut, so that one that takes it octet by octet comes to an end. Abort
// is the end at once. Part spares the wait for a peer that has nothing more to send.
//
// The peer's FIN is reported by EOF and ends nothing: a client may half-close after
// its last command and still reads all its replies. The handler finishes and calls
// Close. A panic in a callback ends its connection and is logged with the stack; a
// panic in a Task is logged and ends nothing.
//
// # Fairness
//
// Level-triggered; a turn of a connection is at most one read, one flush of 256 KiB
// and one callback of each kind. A loop accepts at most 8 connections and runs at
// most 1,024 tasks in a turn. Resume without Pause, and Post from a task, are true
// yields: what they ask for comes in the next turn.
//
// Listeners are shared: all loops watch each, so an idle loop accepts first. With
// many loops each connection wakes several of them; at the two to sixteen this was
// made for, that costs less than an acceptor that hands connections over.
//
// # Deadlines
//
// A wheel of one-second slots for each loop. Traffic that moves a deadline away
// stores a number and no more, so a handler may call SetDeadline in each Input. A
// deadline never fires early by the loop's clock, and up to two seconds late.
//
// # Without descriptors
//
// When accept fails for want of descriptors, the loop closes one that it holds in
// reserve, accepts with it, sends the listener's overload text, closes, and so on
// for the clients that wait; then it leaves its listeners alone for 50 ms. Other
// failures of accept have the 50 ms only. Connections are served meanwhile.
//
// With Config.MaxConns it does not come to that: a client over the limit gets
// the overload text, and is closed. So the rest of the program has descriptors, too.
//
// # Diagnostics
//
//   - "can't accept": see above; every 10 s at most, with the number of clients
//     turned away. EMFILE: raise the limit of open files (RLIMIT_NOFILE).
//   - "too many connections are open or about to end": Config.MaxConns are.
//   - "a handler panicked", "a task panicked": a defect in the handler, with its
//     stack. "BUG: Input consumed": its result was not within its input.
//   - "FATAL: an event loop has failed": epoll_wait refused to work; its connections
//     are closed and it serves no new ones.
//
// # Stale events
//
// A descriptor that is closed and opened again within one batch of events may get
// an event of its predecessor. So an event is a hint: the connection found under the
// descriptor does what it wants to do anyway, on its own descriptor, and finds
// nothing to do. There is no loop over read(2) that could go on with a descriptor
// that a callback has closed.
//
// # Tried and dropped
//
//   - gnet's engine and Conn: EMFILE ends the engine; Close and half-close lost up
//     to 29 of 33.5 MB of output; an unread flood of 1 GB cost 4.9 GB of memory; no
//     drained event, no timers on the loop, no inherited listeners.
//   - gnet's task queue (Poller.Trigger): drained until it is empty, so a task that
//     posts itself starves the connections, and under load tasks swap places. The
//     mailbox has an eventfd of its own in the poller.
//   - Edge-triggered: one more read(2) a command, for its EAGAIN, and no gain.
//   - LockOSThread: no gain, and worse beside busy goroutines.
//   - A timer of the runtime for each connection: 61 ns to move and a goroutine that
//     is not the loop's to fire on, against 2 ns.
package loop
