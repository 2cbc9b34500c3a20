package main

import (
	_ "github.com/BurntSushi/toml"
	_ "github.com/GehirnInc/crypt"
	_ "github.com/cockroachdb/datadriven"
	_ "github.com/cockroachdb/pebble/v2"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/panjf2000/gnet/v2/pkg/netpoll"
	_ "github.com/panjf2000/gnet/v2/pkg/socket"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/schollz/progressbar/v3"
	_ "github.com/spf13/cobra"
	_ "golang.org/x/crypto/argon2"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
	_ "pgregory.net/rapid"
)

func main() {}
