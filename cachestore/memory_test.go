package cachestore_test

import (
	"testing"

	"go.uber.org/goleak"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openMemory(t testing.TB, size int64) *cachestore.Memory {
	t.Helper()
	m, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) cachestore.Store { return openMemory(t, 8<<20) })
}
