package cachestore

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

func goldenState() shardState {
	return shardState{
		Epoch: goldenEpoch, Shard: 2, Shards: 4, SeedMark: 0x0123456789abcdef, Boot: "a boot",
		NextID: 11, NextOrder: 12, PurgeEpoch: epoch{9, 8, 7}, PurgeGen: 13, PurgeFloor: 14, PurgeHigh: math.MaxUint64, Swept: 15,
	}
}

func TestStateOfVersion1(t *testing.T) {
	want, written := goldenState(), goldenBytes(t, "state-1.hex")
	if got, err := readState(written); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if now := want.append(nil); !bytes.Equal(now, written) {
		t.Errorf("the record is now\n%x, without a new version", now)
	}
}

func TestStateThatIsNotWhatWasWrittenIsBroken(t *testing.T) {
	st := goldenState()
	b := st.append([]byte("before"))[len("before"):]
	for i := range b {
		if _, err := readState(b[:i]); !errors.Is(err, errBroken) {
			t.Fatalf("cut to %d: %v", i, err)
		}
	}
	for i := range 8 * len(b) {
		b[i/8] ^= 1 << (i % 8)
		if _, err := readState(b); !errors.Is(err, errBroken) {
			t.Fatalf("bit %d: %v", i, err)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	st.Shard = st.Shards
	if _, err := readState(st.append(nil)); !errors.Is(err, errBroken) {
		t.Errorf("shard %d of %d: %v", st.Shard, st.Shards, err)
	}
}

func TestAStateHoldsNoMoreOfABootThanFits(t *testing.T) {
	st := goldenState()
	st.Boot = strings.Repeat("x", 300)
	if got, err := readState(st.append(nil)); err != nil || got.Boot != st.Boot[:255] {
		t.Errorf("boot of %d bytes, %v", len(got.Boot), err)
	}
}
