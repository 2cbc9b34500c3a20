// Package httpserver serves HTTP at a listener, and ends without dropping a request.
//
// http.Server.Shutdown drops requests: one that arrives while it waits is read and not
// answered, and a connection that Serve has accepted a moment ago is not known to it. A process
// that hands its sockets to another one must answer what it has accepted, since the client has
// connected and will not be asked again. [Server.End] therefore closes the listener first, then
// waits until each connection has had its answer, and only then closes the server.
package httpserver
