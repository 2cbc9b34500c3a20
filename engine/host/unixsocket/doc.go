// Package unixsocket opens and calls unix sockets by their path, also where the path is
// longer than the address of a socket may be (108 octets on Linux).
//
// [Listen] takes the place of a socket that no server listens at any more, and never that
// of another file. [Dial] says with [Peer] who listens.
package unixsocket
