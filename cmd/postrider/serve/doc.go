// Package serve has the commands about the server itself: serve runs it, status asks the
// one that runs, config checks and shows what it is configured with.
//
// Serve is the place where the parts of the server meet: the configuration with the
// flags over it, the sockets, which are bound before the process stops being root, the
// store, the engine, the admin socket and HTTP. It makes what a first start needs
// (bootstrap.go), and counts connections of HTTP with those of the other protocols
// (http_limits.go).
//
// A store that fails can't be repaired in place. The process then replaces itself by a
// fresh one with the same sockets (restart.go).
package serve
