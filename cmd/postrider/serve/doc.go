// Package serve has the commands about the server itself: serve runs it, config checks, shows
// and compares the configuration, version prints that of the program. What config check looks
// at is in package inspect. The commands that ask the running server are in package look.
//
// Serve joins the parts of the server: the configuration with the flags over it, the
// sockets, which are bound before the process stops being root, the store, the engine,
// the admin socket and HTTP. It makes what a first start needs (bootstrap.go,
// demo.go), prints how to go on (firststeps.go), and counts HTTP connections together with
// the other protocols' (http_limits.go).
//
// A store that fails can't be repaired in place. The process then replaces itself by a
// new process with the same sockets (restart.go). A service manager is told of the states
// of the process, and its watchdog is fed while event loops and store answer (notify.go).
package serve
