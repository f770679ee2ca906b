package policy

import (
	"net/http"
	"slices"
	"testing"
)

func TestTrailer(t *testing.T) {
	if !slices.IsSorted(headOnly) {
		t.Error("headOnly is not sorted: it is searched by halves")
	}
	for _, name := range headOnly {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is not canonical: it would never be found", name)
		}
	}
	in := http.Header{"X-Sum": {"1", "2"}, "server-timing": {"a"}, "Etag": {`"a"`}, "Grpc-Status": {"0"}, "Proxy-Status": {"p"}}
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Host", "Set-Cookie",
		"cache-control", "Age", "Authorization", "Content-Type", "Content-Encoding", "X-Hidden"} {
		in[name] = []string{"x"}
	}
	got := Trailer(in, []string{"X-Hidden"})
	want := http.Header{"X-Sum": {"1", "2"}, "Server-Timing": {"a"}, "Etag": {`"a"`}, "Grpc-Status": {"0"}, "Proxy-Status": {"p"}}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	for name := range want {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s: %q, want %q", name, got[name], want[name])
		}
	}
	if got := Trailer(http.Header{"Age": {"1"}}, nil); got != nil {
		t.Errorf("of nothing: %v, want nil", got)
	}
}
