package cachestore_test

import (
	"testing"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

// TestPolicyDecidesOverADisk: what the disk tier needs of memory is taken from
// what the policy shares out. Else bytes run out first, and the hand evicts what
// is asked for with what is not.
func TestPolicyDecidesOverADisk(t *testing.T) {
	s := openTiers(t, t.TempDir(), nil)
	for i := range 4000 {
		if err := storetest.Put(s, storetest.Key(i), storetest.Variant(""), storetest.Content(i, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	policy := st.Evicted[cachestore.EvictedVictim] + st.Evicted[cachestore.EvictedRefused]
	if hand := st.Evicted[cachestore.EvictedHand]; policy == 0 || hand > policy/10 {
		t.Errorf("the policy let %d go, the hand %d; want nearly all by the policy: %+v", policy, hand, st)
	}
}

// TestLiveStaysBelowTheQuota: what waits to be written is not on disk yet.
func TestLiveStaysBelowTheQuota(t *testing.T) {
	s := openTiers(t, t.TempDir(), func(c *cachestore.DiskConfig) { c.Size = cachestore.MinDisk })
	for i := range 2000 {
		if err := storetest.Put(s, storetest.Key(i), storetest.Variant(""), storetest.Content(i, 9000)); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats().Disk; st.Live > st.Limit {
			t.Fatalf("after %d objects %d bytes are live, the quota is %d", i+1, st.Live, st.Limit)
		}
	}
	if err := s.Disk().Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats().Disk; st.Live < st.Limit/2 || st.Live > st.Limit {
		t.Errorf("%d bytes are live, the quota is %d", st.Live, st.Limit)
	}
}
