package cachestore

import (
	"testing"
	"time"
)

// TestSetBack: each failure doubles the rest up to the bound, a fifth more or
// less; an answer ends it; a clock that goes back does not lengthen it.
func TestSetBack(t *testing.T) {
	v := &Variant{}
	now := time.Now().UnixNano()
	if rests, _ := v.Rests(now); rests {
		t.Fatal("a variant rests before anything failed")
	}
	for i := range 10 {
		rest := min(FirstRest<<i, MostRest)
		v.SetBack(now, i%2 == 0)
		rests, dead := v.Rests(now + int64(rest)*79/100)
		if !rests || dead != (i%2 == 0) {
			t.Errorf("failure %d: rests %v, dead %v", i, rests, dead)
		}
		if rests, _ = v.Rests(now + int64(rest)*121/100); rests {
			t.Errorf("failure %d: it still rests after %v", i, rest)
		}
		if rests, _ = v.Rests(now - 2*int64(MostRest)); rests {
			t.Errorf("failure %d: it rests for ever after the clock went back", i)
		}
		now += int64(MostRest)
	}
	form := v.over(nil)
	v.SetBack(now, true)
	form.back.take(&v.back)
	if rests, dead := form.Rests(now); !rests || !dead {
		t.Error("another form of the variant has forgotten")
	}
	v.Recover()
	if rests, _ := v.Rests(now); rests {
		t.Error("it rests although the origin has answered")
	}
	v.SetBack(now, true)
	if rests, _ := v.Rests(now + int64(FirstRest)*121/100); rests {
		t.Error("an answer did not end the row of failures")
	}
}
