//go:build race

package cachestore_test

const raceEnabled = true
