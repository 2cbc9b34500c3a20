module postrider/bench/uu

go 1.26.0

require (
	github.com/segmentio/asm v1.2.1
	postrider v0.0.0
)

require golang.org/x/sys v0.49.0 // indirect

replace postrider => ../..
