package bench

import "testing"

func TestBodiesCanBeMadeInPieces(t *testing.T) {
	whole := make([]byte, 1003)
	FillBody(whole, 7, 3, 0)
	for _, piece := range []int{1, 5, 8, 13, 1003} {
		check := &BodyCheck{Object: 7, Version: 3}
		want := make([]byte, piece+8)
		for at := 0; at < len(whole); at += piece {
			if !check.Matches(whole[at:min(at+piece, len(whole))], want) {
				t.Fatalf("pieces of %d: the one at %d does not match", piece, at)
			}
		}
	}
	for _, other := range []BodyCheck{{Object: 7, Version: 4}, {Object: 8, Version: 3}, {Object: 7, Version: 3, Offset: 8}} {
		if other.Matches(whole[:64], make([]byte, 72)) {
			t.Errorf("%+v matches the body of version 3 of object 7", other)
		}
	}
}
