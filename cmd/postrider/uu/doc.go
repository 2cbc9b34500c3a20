// Package uu has the commands uuencode and uudecode, after those of GNU sharutils.
// Package codec/uu is the code itself; here are files, permissions and names.
//
// Uudecode makes files of text that may come from strangers: it takes no folders from
// the text, nothing to execute, and replaces no file unless by --force. A file gets its
// name when it is whole.
package uu
