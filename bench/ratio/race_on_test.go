//go:build race

package ratio

const raced = true // and all is ten times as slow
