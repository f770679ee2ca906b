//go:build race

package casetest

const raced = true // the race detector is on
