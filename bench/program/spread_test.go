package program

import "testing"

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		s    Spread
		want string
	}{
		{nil, "nothing"},
		{Spread{3}, "3.00 / 3.00 / 3.00"},
		{Spread{3, 100, 20}, "3.00 / 20.0 / 100"},
		{Spread{300, 0.5, 20}, "0.500 / 20.0 / 300"},
		{Spread{4, 1, 2, 3}, "1.00 / 2.50 / 4.00"},
	} {
		if got := c.s.String(); got != c.want {
			t.Errorf("%v reads %q, want %q", []float64(c.s), got, c.want)
		}
	}
	if got, want := (Spread{3, 10}).Over(Spread{6, 2}).Raw(), "0.500 5.00"; got != want {
		t.Errorf("divided round by round it reads %q, want %q", got, want)
	}
}
