//go:build !amd64

package uu

func withoutVectors(f func()) { f() }
