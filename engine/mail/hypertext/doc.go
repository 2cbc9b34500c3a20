// Package hypertext reads the HTML of messages: as text, and for what of it a browser
// shows.
//
//	io.Copy(out, hypertext.PlainText(page)) // for people
//	io.Copy(out, hypertext.WholeText(page)) // for a search: hidden text too
//
// [Visible] follows a page token by token and tells which elements are hidden: by an
// attribute (hidden, style) or by a simple rule of a style element (.class, #id, tag).
// Newsletters hide the line that lists of messages show, and one of two variants, for
// telephones or for desks. A reader that takes the styles away has to take the hidden
// elements away as well. Rules under @media are passed over, so that the variant for a
// desk is shown.
//
// All of it is linear in the page: a tokenizer, no tree, and a stack of bounded depth.
package hypertext
