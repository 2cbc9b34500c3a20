// Package localmail takes mail from every user of this machine: the unix socket at which
// sendmail hands in messages when its caller may not use the admin socket.
//
// Every local user may hand in a message there, and do nothing else: nothing can be read
// or asked. The kernel says who calls (SO_PEERCRED), and that goes into the Received field
// and the log. The reverse-path is the caller's choice, as with Postfix, and so is the From
// field, under whose domain the message is signed.
//
// # The protocol
//
// A message is one POST of HTTP to /mail. The body is the length of the JSON of a [Letter]
// in decimal, a line end, the JSON, and the text. The answer is the JSON of an [Answer]. A
// body that breaks off is no message. The client waits for "100 Continue" before it sends
// the body, so it knows whether the server has begun to read: a message of which nothing
// was read can be sent again, or another way.
//
// # Which server the client trusts
//
// [Send] looks at who listens before it sends mail. That has to be root, the caller, or
// the owner of the socket's directory; in a directory that all users may write to, only
// the first two.
//
// # Bounds
//
// Connections are limited in all and for each user, and so are messages at work; the size
// of a Letter and the time of a message are limited too. No deadline is renewed: the client
// has the whole text before it connects. What a message keeps in memory is booked by the
// [Room] of the server. A client that finds no room is told so and tries again for a while
// ([Busy]).
package localmail
