// Package serve has the commands about the server itself: serve runs it, config checks, shows
// and compares the configuration, reload and restart ask the running server, version prints that of the program. What config check looks
// at is in package inspect. The commands that ask the running server are in package look.
//
// Serve joins the parts of the server: the configuration with the flags over it, the
// sockets, which are bound before the process stops being root, the store, the engine,
// the admin socket and HTTP. It makes what a first start needs (bootstrap.go,
// demo.go), prints how to go on (firststeps.go), and counts HTTP connections together with
// the other protocols' (http_limits.go).
//
// A process can be replaced by a new one in its place, with the same sockets (restart.go): when
// its store fails, which can't be repaired in place, and by order of an operator (order.go).
// Before such an order is carried out, the program on disk tries its start (trial.go). A new
// process that can't start has the program from before executed again. A service manager is
// told of the states of the process, and its watchdog is fed while event loops and store answer
// (notify.go).
package serve
