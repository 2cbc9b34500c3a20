// Package manual writes the manual pages: postrider(1), a page for each command with its
// subcommands, and postrider.toml(5) with every key of the configuration. All of it is
// made from the tree of commands and from the keys, so that a page and --help agree.
//
// Only the hidden command "man" uses it, when a package is built.
//
// The package doc of cobra was tried for this. It takes the texts of help for Markdown:
// the columns of options in them run together, and <id> and * are lost. It makes a page
// for each of 60 commands. And it brings three modules into the server. The format of man
// is small; roff.go has all of it that the pages need.
package manual
