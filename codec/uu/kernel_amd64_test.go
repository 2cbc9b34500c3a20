package uu

// withoutVectors runs f as on a processor without AVX2.
func withoutVectors(f func()) {
	had := useAVX2
	useAVX2 = false
	defer func() { useAVX2 = had }()
	f()
}
