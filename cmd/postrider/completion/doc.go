// Package completion completes values on the command line: accounts, aliases, domains,
// queue ids and keys of the configuration. Values attaches it to the whole tree of
// commands; "postrider completion bash" (or zsh, fish, powershell) prints the script that
// a shell needs.
//
// What a command's argument is follows from the placeholder in its usage line: for "remove
// NAME..." of account it completes accounts, for "show ID..." queue ids. So a command
// needs nothing to be completed but a usage line with the usual words.
//
// The running server is asked at its admin socket. Where none runs, or the caller may not
// use the socket, nothing is completed: a key on the keyboard neither opens a store nor
// waits for one.
package completion
