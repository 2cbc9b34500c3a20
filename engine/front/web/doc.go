// Package web is the mail client in a web page: sign in, read, search, write, reply,
// forward, save attachments, delete. Its pages are made on this side, work without
// scripts, and are better with the little one they bring.
//
//	client, err := web.New(web.Config{Store: store, Login: ..., Submit: ..., Spool: dir, ...})
//	http.Serve(listener, client)
//
// It is a plain client of the store's contract and of submission: it reads snapshots,
// it deletes under the lock of the maildrop as a POP3 session does, and what it sends
// goes through the function that it is given, with the rules for all mail.
//
// # Looking at mail
//
// [Mailbox] is one maildrop to look at. [Pages] are the pages for looking at one: list
// and search, message, its HTML, its attachments, its raw source, deletion. They know
// nothing of signing in: [Pages.Register] is told by a function what mailbox a request
// is about, and what is around it ([Frame]). The signed-in account is one such
// mailbox; a view of everything that was captured can be another.
//
// Nothing is kept of a message between requests, and none is ever whole in memory: a
// page reads up to maxText of text and counts the rest; attachments are decoded while
// they are sent. Lists read the first octets of each message they show; a search looks
// at maxLooked messages and then offers to go on, so that no request is long.
//
// # HTML of strangers
//
// An HTML part is sanitised (bluemonday, an allow list), and shown in a frame of its own
// document whose policy is default-src 'none' and which is sandboxed twice, by the frame
// and by the document: no scripts, no forms, no origin. Elements that the page hides go
// with their text (package hypertext). Nothing is loaded from anywhere, unless the reader
// asks for the pictures of other hosts, for this message and this time; the page says how
// many there are. Images that came with the message are in the document as data, each
// once, and repeated within a bound: their first octets tell what they are, and their
// Content-ID or Content-Location where they belong. A link opens a page of its own,
// without a referrer; for this the sandbox has allow-popups, which without scripts only a
// person's click can use. Tried and dropped: srcdoc, which would put the message into the
// page's own octets and inherit the page's policy.
//
// # Signing in
//
// The password goes the way of POP3's and SMTP's: the same hashes, in the same pool, the
// same delay and the same count of failures by network. Over a connection in clear text
// it is taken only from this host, unless auth.plaintext_without_tls allows more. A
// session is 160 random bits in a cookie that scripts can't read; this side keeps the
// hash of it, for at most web.session_idle without a request of the user and web.session_lifetime
// in all. A changed password ends the account's sessions with their next request.
//
// What changes something is a POST, from our own pages (Sec-Fetch-Site, Origin), with the
// token of the session. The pages allow no script but the one that is served with them,
// none inline, no frames around them, and nothing from other hosts.
//
// # Uploads
//
// Attachments go to files of the spool folder while they come in, at most
// Config.MaxSize for one message, maxSpooled for one session, maxAccount for one account,
// maxSpool in all. They stay with the
// session until the message is sent, so that a form that comes back because of an
// address has them still. The folder is emptied at the start.
//
// # What an operator sees
//
// [Activity] lists who has signed in, and the requests that are under way, for "postrider
// who"; kick signs out and cuts downloads off; trace has a line for each request and its
// answer. [Guard] tracks all requests that it passes on. A request belongs to the session
// that it was found to have at first, to its end, so what changes something goes on to its
// end though the session is ended meanwhile.
//
// # Bounds
//
// [Guard] has each request book the memory that it takes in a [Budget] ([Take]) while it
// reads: text, HTML, pictures, the fields of a form. A request that finds no room waits
// for some seconds and then is answered with 503 and Retry-After. One account has
// maxTurns requests worked on at once. When the client has gone the work ends. A request
// has to name the server ([Hosts]): else another site's page could have its own name
// lead here and read what is open to this host. [Proxies] are trusted when they tell who
// the client is.
package web
