// Package localmail accepts mail from all users on this machine, at a unix socket. The
// sendmail command uses it when its caller may not use the admin socket.
//
// Any local user may submit messages there, and can do nothing else. The kernel identifies
// the user (SO_PEERCRED); the userid goes into the Received field and the log. The caller
// chooses the reverse-path, as with Postfix, and the From field, whose domain signs the
// message.
//
// # The protocol
//
// A message is one HTTP POST to /mail. The body is the length of an [Envelope] in JSON, in
// decimal, a line end, the JSON, and the text. The answer is an [Answer] in JSON. A body that
// breaks off is not a message. The client waits for "100 Continue" before it sends the body,
// and so knows whether the server has begun to read. If it has not, the client may send the
// message again, or another way.
//
// # Which server the client trusts
//
// [Send] checks the listener's userid before it sends mail. It has to be root's, the
// caller's, or the userid of the owner of the socket's directory. In a directory that all
// users may write to, only the first two are trusted.
//
// # Bounds
//
// Connections and messages in progress are limited in all and for each user. Root and the
// server's user have places of their own. An Envelope has a largest size, and a message a
// deadline. Deadlines are not renewed: the client has the whole text before it connects. The server's [Room] books the memory for a message. A client
// without room gets the answer [Busy], and tries again for a while.
package localmail
