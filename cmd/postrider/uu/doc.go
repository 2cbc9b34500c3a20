// Package uu has the commands uuencode and uudecode, modelled on GNU sharutils.
// Package codec/uu is the code itself; this package has files, permissions and names.
//
// Uudecode makes files from untrusted text: it takes no folders and no execute bits from
// the text, and replaces no file unless by --force. A file gets its
// name when it is whole.
package uu
