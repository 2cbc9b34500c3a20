// Package client is a Mail User Agent (RFC 5598 section 2.1.1) without its face: it
// reads maildrops by POP3 and submits messages by SMTP, with any server. The command
// "postrider mail" is made of it; the server does not use it.
//
//	p, err := useragent.OpenPOP3(ctx, host)      // connected, under TLS, logged in
//	items, err := p.List()
//	body, err := p.Retrieve(items[0].Number, items[0].Size)   // an io.Reader, plain form
//	err = p.Quit()                               // deletes what Delete has marked
//
//	refusals, err := useragent.Submit(ctx, host, envelope, message)
//
// # The host and its password
//
// A [Host] is under TLS from its first octet, or by STLS and STARTTLS and then never
// without it, or in clear text: clear text with this host only, unless the user
// has allowed it with the option ClearText. The password goes out after TLS
// has begun and the certificate was verified. Octets after the reply to STLS
// or STARTTLS end the session, and what was offered before is forgotten.
//
// SCRAM-SHA-256 comes before PLAIN, LOGIN and USER: the host never sees the password, has
// to prove that it knows it too, and with -PLUS that no attacker is in the middle of the TLS
// connection. A host that offers SCRAM is not told the password in clear, even if it would
// take it and SCRAM fails.
//
// # What is promised
//
//   - Nothing is deleted unless Quit returned nil. Abandon, an error or a crash delete nothing.
//   - A [Body] ends with io.EOF only when the message's own end came; a lost connection is
//     an error. Octets are as the server sent them, apart from line ends that are none,
//     which become CRLF, as in the store: an LF alone never ends a message.
//   - Submit sends the final dot only when the whole message could be read. Each recipient
//     has its own answer. After [ErrDoubt] it is unknown whether the host has the message.
//   - All input is limited: lines 8 KiB, a header 4 MiB, a message twice the size in LIST and
//     1 MiB, listings a million lines. Each wait ends after 5 minutes, a connection that
//     isn't made after 30 seconds, and all of them with the context.
//   - Text of a server in an error is [Printable]. [Terminal] makes any text so.
//
// # Formats
//
// [POP3.Source] shows a maildrop as a store does, so that package transfer writes what is
// fetched: one hand for each format. The time of arrival is that of the first Received
// field.
//
// # Tried and dropped
//
// The client of emersion/go-smtp: engine/protocol/smtpclient tells more about the outcome for each
// recipient, pipelines, and is tested with each cut of its input; it lacked SCRAM, which
// Config.Choose brings in.
package client
