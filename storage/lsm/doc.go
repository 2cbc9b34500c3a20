// Package lsm is the embedded mail store, on Pebble.
package lsm
