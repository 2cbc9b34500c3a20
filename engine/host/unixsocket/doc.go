// Package unixsocket listens on and dials unix sockets by path, also if the path is longer
// than a socket address may be (108 octets on Linux).
//
// [Listen] replaces a socket that no server listens on any more, but never another file.
// [Peer] returns the userid at the other end of a connection from [Dial] or Accept.
package unixsocket
