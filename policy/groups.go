package policy

import (
	"net/http"

	"github.com/dunglas/httpsfv"
)

// MaxInvalidatedGroups bounds the groups that one answer invalidates by name.
const MaxInvalidatedGroups = 64

// InvalidatedGroups reads Cache-Group-Invalidation (RFC 9875, 3): a list of
// strings. A malformed field is ignored, and what no stored answer can have as a
// group. Over says that there are more than the bound; the names are then of no
// use. The caller has looked at method and status, see Invalidates.
func InvalidatedGroups(h http.Header) (groups []string, over bool) {
	lines := h["Cache-Group-Invalidation"]
	if len(lines) == 0 {
		return nil, false
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return nil, false
	}
	seen := make(map[string]bool)
	for _, member := range list {
		item, _ := member.(httpsfv.Item)
		group, ok := item.Value.(string)
		switch {
		case !ok, len(group) > maxTagBytes, seen[group]:
			continue
		case len(groups) == MaxInvalidatedGroups:
			return nil, true
		}
		seen[group] = true
		groups = append(groups, group)
	}
	return groups, false
}
