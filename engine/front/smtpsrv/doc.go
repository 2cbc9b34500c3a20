// Package smtpsrv serves SMTP: it answers the questions that the machine of package smtpd
// asks, from the memory and the store of a server.
//
//	service := smtpsrv.New(settings, rooms)
//	open := service.Listener(smtpsrv.Address{Service: conn.MailService, Auth: smtpsrv.OfferAuth})
//	group.Listen(addr, service.TooMany(), edge.ProxyFirst(open))
//
// A [Service] is what the sessions of all listeners share: the [Settings], as values, and
// the [Rooms] that it works with. It knows neither the server nor the configuration.
// Submission (RFC 6409) is SMTP at an address with RequireAuth.
//
// # A session
//
// A session (session.go) is the Dialogue of a conn.Session. The loop hands it octets, and it
// feeds the machine. The replies are gathered into one write; the octets of a message go
// from the loop's read buffer into the store's draft, once. At most one question is open:
//
//	AskTransaction   memory, disk, [policy], the account's addresses and allowance (envelope.go)
//	AskRecipient     the greylist, the allowance, the router (envelope.go)
//	AskStored        Message.Finish (transaction.go); the answer comes after the sync
//	AskAuth          login.Door, on the loop or in its pool (auth.go)
//	AskTLS           the pace of handshakes
//	AskVerify, AskExpand   the router, for trusted networks only (directory.go)
//	AskClient        XCLIENT (untrusted.go)
//
// Package incoming has the steps of a message from its first octet to the store, for the
// messages of all entrances; it knows no session. At the end of data a session calls Finish
// once, and waits for one done. A 250 needs a storage.Receipt, which only the store makes,
// after its sync.
//
// # Untrusted clients
//
// A client on none of the trusted networks meets [policy] (untrusted.go): rates, what DNS
// has about its address, the greylist. Its messages are checked while they come in: the
// session hands the check of package screen to package incoming (checking.go). The rules and
// the counters are in screen.Guard, which all sessions share; each refusal has a reply, a
// line in the log and a counter.
//
// # Whose goroutine
//
// A session belongs to the goroutine of its loop. While it waits (conn.Wait), what it waits
// for belongs to a pool or to the store, and comes back as a task of the loop. The tasks are
// views of the session (windowGranted) or parts of it that are made once (auth, transaction),
// so that they need no allocation for each message. What the sessions of one loop share, such
// as the effects of the machine, is in the Service by loop. A session that ends while its
// message is in the steps drops it, and gives back what is booked when done is called.
//
// # Limits
//
// The octets of a message are read against a window of limits.memory (window.go), and
// recipients are booked before they are placed (envelope.go): where there is no room a
// session waits without reading, or the client gets 452. An account has an allowance
// (package allowance), and an untrusted client the limits of screen.Guard. BOUNDS.md has
// all that a peer can make the server keep or compute.
//
// # Diagnostics
//
// Refusals are logged as Postfix logs them ("NOQUEUE: reject: ..."), and each message has
// lines with its queue id: client, message-id, from, to. [Stats] counts for the metrics.
package smtpsrv
