//go:build growth

// The file lets counted.go declare a function that has its body elsewhere.
