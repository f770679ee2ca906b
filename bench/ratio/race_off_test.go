//go:build !race

package ratio

const raced = false
