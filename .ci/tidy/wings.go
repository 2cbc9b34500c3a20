package tidy

import (
	"fmt"
	"slices"
	"strings"
)

// wings are the folders of engine, the highest first. An import goes down only.
var wings = []string{"server", "config", "front", "relay", "admit", "mail", "edge", "host", "protocol"}

// wingOf is the wing of a folder, and its height; ok: the folder is in one.
func wingOf(folder string) (name string, height int, ok bool) {
	rest, ok := strings.CutPrefix(folder, "engine/")
	name, _, _ = strings.Cut(rest, "/")
	return name, len(wings) - slices.Index(wings, name), ok && slices.Contains(wings, name)
}

// upward says why a package of folder may not import another wing's room, or nothing.
// Package client is a program of its own: no wing needs it, and tests may.
func upward(folder, room string, isTest bool) string {
	from, low, inside := wingOf(folder)
	to, high, ok := wingOf(room)
	switch {
	case inside && in(room, "engine/client") && !isTest:
		return "the server does not use the mail client"
	case inside && ok && from != to && high > low && (!isTest || to == "config"):
		return fmt.Sprintf("wing %s is above %s: an import goes down only; hand in a value or a small interface", to, from)
	}
	return ""
}
