package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// purgeVerb is edge purge.
type purgeVerb struct {
	adminFlags
	Soft   bool     `help:"Only expire: what is purged may be served stale while it is refreshed."`
	Host   string   `placeholder:"HOST" help:"With tag: only what this host's answers carry."`
	Scope  string   `arg:"" enum:"url,tag,prefix,host,all" help:"url, tag, prefix, host or all."`
	Values []string `arg:"" optional:"" name:"value" help:"What to purge: urls, tags, prefixes or hosts."`
}

// maxSelectors is how many values one call of the API takes.
const maxSelectors = 1000

// purgeTypes are the API's words for the scopes
// (draft-nottingham-http-invalidation).
var purgeTypes = map[string]string{"url": "uri", "tag": "tag", "prefix": "uri-prefix", "host": "host", "all": "all"}

// purgeCall is the body of POST /v1/purge.
type purgeCall struct {
	Type      string   `json:"type"`
	Selectors []string `json:"selectors,omitempty"`
	Host      string   `json:"host,omitempty"`
	Purge     bool     `json:"purge"`
}

// purgeResult is its answer.
type purgeResult struct {
	ID      string `json:"id"`
	Seq     uint64 `json:"seq"`
	Applied bool   `json:"applied"`
}

// Run posts the purge and says which number it got.
func (v *purgeVerb) Run(ctx context.Context, t terminal) error {
	if err := v.check(); err != nil {
		return err
	}
	c, err := v.client()
	if err != nil {
		return err
	}
	for first := 0; first == 0 || first < len(v.Values); first += maxSelectors {
		part := v.Values[first:min(first+maxSelectors, len(v.Values))]
		var result purgeResult
		call := purgeCall{Type: purgeTypes[v.Scope], Selectors: part, Host: v.Host, Purge: !v.Soft}
		if err := c.ask(ctx, http.MethodPost, "/v1/purge", call, &result); err != nil {
			return v.explain(err)
		}
		fmt.Fprintf(t.stdout, "id=%s seq=%d applied=%t\n", result.ID, result.Seq, result.Applied)
		if !result.Applied {
			return errors.New("edge took the purge but did not apply it")
		}
	}
	return nil
}

func (v *purgeVerb) check() error {
	switch {
	case v.Scope == "all" && len(v.Values) > 0:
		return &usageError{"purge all takes no value; to purge a url or a tag say purge url or purge tag"}
	case v.Scope != "all" && len(v.Values) == 0:
		return &usageError{"purge " + v.Scope + ": give at least one value"}
	case v.Host != "" && v.Scope != "tag":
		return &usageError{"--host goes with purge tag only"}
	}
	for _, value := range v.Values {
		if strings.TrimSpace(value) == "" {
			return &usageError{"purge " + v.Scope + ": a value is empty"}
		}
		if (v.Scope == "url" || v.Scope == "prefix") && value[0] != '/' && !strings.Contains(value, "://") {
			return &usageError{fmt.Sprintf("purge %s %q: give http://HOST/PATH, or /PATH for every host", v.Scope, value)}
		}
	}
	return nil
}
