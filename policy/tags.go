package policy

import (
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"
)

// Bounds of the tags of an answer: limits.tags, and the longest in bytes.
const (
	defaultMaxTags = 64
	maxTagBytes    = 256
)

// tags collects the tags by which an answer can be purged: those of its tag
// fields and those of the route.
func (j *judge) tags(d *Decision) Reason {
	most := j.r.MaxTags
	if most == 0 {
		most = defaultMaxTags
	}
	for _, tag := range j.r.Tags {
		d.addTag(tag, HashTag(tag))
	}
	for _, name := range j.r.TagHeaders {
		if lines := j.res.Header[name]; name == "Cache-Groups" {
			j.groups(d, lines)
		} else {
			for _, line := range lines {
				for tag := range strings.FieldsFuncSeq(line, tagBreak(name)) {
					tag = strings.Trim(tag, " \t")
					if tag != "" && len(d.Tags) <= most {
						d.addTag(tag, HashTag(tag))
					}
				}
			}
		}
	}
	for _, tag := range d.TagNames {
		if len(tag) > maxTagBytes {
			return TooManyTags
		}
	}
	if len(d.Tags) > most {
		return TooManyTags
	}
	return None
}

// tagBreak is what divides the tags in a field: commas in Cache-Tag and its
// kin, whose tags may have blanks; blanks, too, in Surrogate-Key and all
// others.
func tagBreak(name string) func(rune) bool {
	if strings.HasSuffix(name, "-Tag") {
		return func(c rune) bool { return c == ',' }
	}
	return func(c rune) bool { return c == ',' || c == ' ' || c == '\t' }
}

// groups reads Cache-Groups (RFC 9875): a list of strings; a malformed one is
// ignored. A group belongs to the origin that named it.
func (j *judge) groups(d *Decision, lines []string) {
	if len(lines) == 0 {
		return
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return
	}
	for _, member := range list {
		item, _ := member.(httpsfv.Item)
		if group, ok := item.Value.(string); ok {
			d.addTag(group, HashGroup(j.at.Scheme, string(j.at.Host), group))
		}
	}
}

func (d *Decision) addTag(name string, hash uint64) {
	if !slices.Contains(d.Tags, hash) {
		d.Tags = append(d.Tags, hash)
		d.TagNames = append(d.TagNames, name)
	}
}
