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

// tags collects the tags by which an answer can be purged: those of the route
// and those of the answer's tag fields.
func (j *judge) tags(d *Decision) Reason {
	c := tagList{most: j.r.MaxTags}
	if c.most <= 0 {
		c.most = defaultMaxTags
	}
	for _, tag := range j.r.Tags {
		c.add(tag, HashTag(tag))
	}
	for _, name := range j.r.TagHeaders {
		lines := j.res.Header[name]
		if name == "Cache-Groups" {
			c.addGroups(lines, j.at)
			continue
		}
		for _, line := range lines {
			for tag := range strings.FieldsFuncSeq(line, tagBreak(name)) {
				if tag = strings.Trim(tag, " \t"); tag != "" {
					c.add(tag, HashTag(tag))
				}
			}
		}
	}
	if c.over {
		return TooManyTags
	}
	d.Tags, d.TagNames = c.hashes, c.names
	return None
}

// tagList is the tags of one answer, without doubles.
type tagList struct {
	hashes []uint64
	names  []string
	most   int
	over   bool // there are more than most, or one is too long
}

func (c *tagList) add(name string, hash uint64) {
	switch {
	case c.over || slices.Contains(c.hashes, hash):
		return
	case len(c.hashes) == c.most || len(name) > maxTagBytes:
		c.over = true
		return
	}
	c.hashes = append(c.hashes, hash)
	c.names = append(c.names, name)
}

// addGroups reads Cache-Groups (RFC 9875): a list of strings; a malformed one
// is ignored. A group belongs to the origin that named it.
func (c *tagList) addGroups(lines []string, at URL) {
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
			c.add(group, HashGroup(at.Scheme, string(at.Host), group))
		}
	}
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
