package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestParseRange(t *testing.T) {
	for _, c := range []struct {
		name, in string
		size     int64
		want     []Span
		res      RangeResult
	}{
		// RFC 9110, 14.1.2.
		{"the first bytes", "bytes=0-1", 10, []Span{{0, 2}}, RangeOne},
		{"from a byte on", "bytes=1-", 10, []Span{{1, 10}}, RangeOne},
		{"the last bytes", "bytes=-1", 10, []Span{{9, 10}}, RangeOne},
		{"more last bytes than there are", "bytes=-99", 10, []Span{{0, 10}}, RangeOne},
		{"beyond the end", "bytes=5-99", 10, []Span{{5, 10}}, RangeOne},
		{"the last byte", "bytes=9-9", 10, []Span{{9, 10}}, RangeOne},
		{"the unit has any case", "BYTES=0-0", 10, []Span{{0, 1}}, RangeOne},
		{"blanks around members", "bytes= 0-0 ,", 10, []Span{{0, 1}}, RangeOne},
		{"several", "bytes=0-1,4-5,-1", 10, []Span{{0, 2}, {4, 6}, {9, 10}}, RangeMany},
		{"several, one behind the end", "bytes=20-,4-5", 10, []Span{{4, 6}}, RangeOne},
		{"not there", "bytes=10-", 10, nil, RangeUnsatisfiable},
		{"none of several", "bytes=10-,-0", 10, nil, RangeUnsatisfiable},
		{"the last 0 bytes", "bytes=-0", 10, nil, RangeUnsatisfiable},
		{"the first byte of nothing", "bytes=0-", 0, nil, RangeUnsatisfiable},
		{"the last bytes of nothing", "bytes=-5", 0, nil, RangeNone},
		{"huge numbers", "bytes=0-99999999999999999999999999", 10, []Span{{0, 10}}, RangeOne},
		{"a huge suffix", "bytes=-99999999999999999999999999", 10, []Span{{0, 10}}, RangeOne},
		{"a huge start", "bytes=18446744073709551616-", 10, nil, RangeUnsatisfiable},

		// What is malformed is ignored (14.2).
		{"backwards", "bytes=5-2", 10, nil, RangeNone},
		{"backwards beside a good one", "bytes=0-1,5-2", 10, nil, RangeNone},
		{"another unit", "lines=0-1", 10, nil, RangeNone},
		{"no unit", "0-1", 10, nil, RangeNone},
		{"no member", "bytes=", 10, nil, RangeNone},
		{"only commas", "bytes=,,", 10, nil, RangeNone},
		{"no number", "bytes=-", 10, nil, RangeNone},
		{"letters", "bytes=x", 10, nil, RangeNone},
		{"a sign", "bytes=+1-2", 10, nil, RangeNone},
		{"blanks within", "bytes=1 -2", 10, nil, RangeNone},
		{"no dash", "bytes=5", 10, nil, RangeNone},
		{"two dashes", "bytes=0-1-2", 10, nil, RangeNone},
		{"empty", "", 10, nil, RangeNone},

		// 17.15.
		{"overlapping", "bytes=0-5,5-9", 10, nil, RangeNone},
		{"twice the same", "bytes=0-,0-", 10, nil, RangeNone},
		{"side by side", "bytes=0-4,5-9", 10, []Span{{0, 5}, {5, 10}}, RangeMany},
		{"16 parts", "bytes=" + parts(16), 1000, spans(16), RangeMany},
		{"17 parts", "bytes=" + parts(17), 1000, nil, RangeNone},
		{"17 parts that are not there", "bytes=" + strings.Repeat("99-,", 17), 10, nil, RangeNone},
	} {
		first, n, res := ParseRange([]byte(c.in), c.size, 16)
		all, same := AppendRanges(nil, []byte(c.in), c.size, 16)
		if res != c.res || same != c.res || n != len(c.want) || !slices.Equal(all, c.want) {
			t.Errorf("%s: %v %d, want %v %d", c.name, all, res, c.want, c.res)
		}
		if n > 0 && first != c.want[0] {
			t.Errorf("%s: the first is %v", c.name, first)
		}
	}
	if _, n, res := ParseRange([]byte("bytes="+parts(maxRanges)), 1000, 1<<30); n != maxRanges || res != RangeMany {
		t.Errorf("at the highest limit: %d %d", n, res)
	}
	if _, n, res := ParseRange([]byte("bytes="+parts(maxRanges+1)), 1000, 1<<30); n != 0 || res != RangeNone {
		t.Errorf("over the highest limit: %d %d", n, res)
	}
}

// parts are n ranges of one byte, two apart.
func parts(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(spanText(int64(2*i)) + ",")
	}
	return b.String()
}

func spanText(at int64) string {
	digits := []byte{byte('0' + at/100%10), byte('0' + at/10%10), byte('0' + at%10)}
	return string(digits) + "-" + string(digits)
}

func spans(n int) []Span {
	all := make([]Span, n)
	for i := range all {
		all[i] = Span{int64(2 * i), int64(2*i) + 1}
	}
	return all
}

func FuzzRange(f *testing.F) {
	f.Add([]byte("bytes=0-1,-5,7-"), int64(10))
	f.Add([]byte("bytes=-9223372036854775808"), int64(1<<63-1))
	f.Fuzz(func(t *testing.T, value []byte, size int64) {
		size = max(size, -(size + 1)) // never negative
		all, res := AppendRanges(nil, value, size, 16)
		switch {
		case res == RangeOne && len(all) != 1, res == RangeMany && len(all) < 2,
			res != RangeOne && res != RangeMany && len(all) != 0, len(all) > 16:
			t.Fatalf("%q of %d: %d parts, result %d", value, size, len(all), res)
		}
		for i, s := range all {
			if s.From < 0 || s.From >= s.To || s.To > size || overlaps(all[:i], s) {
				t.Errorf("%q of %d: %v", value, size, all)
			}
		}
	})
}
