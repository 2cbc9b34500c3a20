// Package uu encodes and decodes files in lines of text, as uuencode and uudecode
// have done since 1980 (POSIX.1-2017, uuencode), and finds such files within a text.
//
//	begin 644 reports
//	M9W)E<"`B<&P_(B`O=F%R+VQO9R]H='1P9"]W96(V-C1F-BYA8V-E<W,N;&]G
//	`
//	end
//
// A line is a character for the number of its octets, 45 but in the last one, and four
// characters for each three octets, six bits each. A value is the character
// 32 more: from the blank to "_". Blanks at the end of lines get lost in mail, so all
// programs of today write "`" for zero instead ([Backtick]); [Space] is the old way. A
// reader takes both. "begin-base64 MODE NAME" has base64 in the place of these lines and
// "====" in that of end.
//
// [AppendFile] writes a whole file, [AppendEncode] lines of one that streams. A
// [Decoder] reads text that comes in pieces. [Repair] makes the best of a file that a
// web page or a word processor has damaged, which a Decoder refuses.
//
// # What a Decoder takes
//
// LF or CRLF. A line without its blanks at the end: they are put there again, unless
// "`" stood in the file before, for then no blank was meant. A last group of four without
// the characters that carry nothing. One more character at the end of a line, the
// checksum of some programs. "End". No zero line before the end. Everything else that
// is not as it should be is an [*Error] with the number of its line: no octet is
// lost or made up in silence.
//
// # Speed
//
// Runs of whole lines go through AVX2 where the processor has it, else through tables
// with a word at a time. Both are tested against the plain loops in the tests.
//
// # Tried and dropped
//
// AVX-512 VBMI fits beautifully, one register a line; no machine to test it on was at
// hand, so it is not there.
package uu
