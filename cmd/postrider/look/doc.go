// Package look has the commands that look inside the running server.
//
//	status   the state on one screen
//	who      the open sessions
//	kick     ends sessions
//	top      status and who, again and again
//	trace    the dialogues of sessions as they come
//
// All of them ask the server at its admin socket. It answers from its counters, and from its
// event loops, each of which lists its own sessions in steps between its other work.
package look
