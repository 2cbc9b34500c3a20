// Package admin lets commands work on a store that a server has open: HTTP over
// the Unix socket DIR/admin.sock. [Serve] is the server's end, a plain client of
// the storage contract; [Dial] is the command's, and gives the same interfaces
// back ([Store]). So each command is written once, against Store, and runs in its
// caller's process: files are read and written with the caller's rights, and only
// octets of mail and rows of the directory go through the socket.
//
// # Who may call
//
// A process that can open the socket may do everything: it has mode 0600 in a directory of
// mode 0700. There is no other check.
//
// # What goes over it
//
// Each method of the directory is one POST of JSON to /v1/NAME. /v1/view answers with a
// maildrop as frames, /v1/queue-body with one message; /v1/deliver takes a message as
// frames, and gives its id before it has come. /v1/queue-list and /v1/queue-history answer
// with a line of JSON for each item. /v1/checkpoint answers with the name of a directory in
// the data directory, which is there as long as the client keeps the answer open. All of
// these stream: a queue of millions is never in
// memory. /v1/relay-NAME goes to the scheduler of the running server, which a store that a
// command opens does not have; so do /v1/sessions, /v1/sessions-end and /v1/trace, which go
// to the running server's sessions. A trace streams lines for as long as it lasts. /v1/reload
// and /v1/restart go to the process; the answer to the second comes before it ends. GET
// /status returns the state of the server in JSON: curl
// --unix-socket serves as well as the command. A group of methods joins by one entry in
// the routes of server.go and one method of Client.
//
// At a restart the socket stays, and what connects meanwhile is answered by the next process
// (GET /status then has "restarted").
//
// # Errors
//
// The errors of the storage contract keep their identity: errors.Is reports the same
// on both ends. A server that goes away gives ErrTemporary.
//
// # The socket file
//
// A socket without a listener is replaced, one that is in use is an error, and a
// path that is not a socket is never touched. A directory whose name is too long
// for a socket's address is reached through /proc/self/fd.
package admin
