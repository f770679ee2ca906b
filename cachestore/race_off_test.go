//go:build !race

package cachestore

// RaceEnabled says whether the race detector runs, which makes sync.Pool forget.
const RaceEnabled = false
