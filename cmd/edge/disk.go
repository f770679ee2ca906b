package main

import (
	"context"
	"fmt"
	"net/http"

	"edgecache/cachestore"
	"edgecache/edge/admin"
)

// diskVerb is edge disk.
type diskVerb struct {
	Stats   diskStatsVerb   `cmd:"" help:"Show what the disk tier holds and does. Exit code 1 when a shard is in trouble."`
	Check   diskCheckVerb   `cmd:"" help:"Read back all that is on disk and take out what is broken. Exit code 1 when something was, or when a shard is in trouble."`
	Compact diskCompactVerb `cmd:"" help:"Make the disk tier's files as small as what they hold."`
}

// diskFlags are those of every disk verb.
type diskFlags struct {
	adminFlags
	JSON bool `name:"json" help:"Print the admin API's answer as it came."`
}

// question asks about the disk tier, however long the answer takes. An edge
// that is left gives up what it was asked to do.
func (f *diskFlags) question(ctx context.Context, method, path string, into any) (text []byte, err error) {
	c, err := f.client()
	if err != nil {
		return nil, err
	}
	text, err = c.await(ctx, method, path, nil, into)
	return text, f.explain(err)
}

// diskStatsVerb is edge disk stats.
type diskStatsVerb struct{ diskFlags }

// Run shows the statistics, troubles last.
func (v *diskStatsVerb) Run(ctx context.Context, t terminal) error {
	var d admin.DiskView
	text, err := v.question(ctx, http.MethodGet, "/v1/disk", &d)
	if err != nil {
		return err
	}
	if !v.JSON {
		showDisk(t.stdout, &d)
	} else if _, err := t.stdout.Write(text); err != nil {
		return err
	}
	if troubled(d.Shards) {
		return errTold
	}
	return nil
}

// diskCheckVerb is edge disk check.
type diskCheckVerb struct{ diskFlags }

// Run has everything read back and says what was found. A disk that cannot be
// written is no healthy one, so troubles are told, too.
func (v *diskCheckVerb) Run(ctx context.Context, t terminal) error {
	var r cachestore.CheckReport
	text, err := v.question(ctx, http.MethodPost, "/v1/disk/check", &r)
	if err != nil {
		return err
	}
	said := t.stdout
	if v.JSON {
		said = t.stderr
		if _, err := t.stdout.Write(text); err != nil {
			return err
		}
	} else {
		showCheck(t.stdout, &r)
	}
	var d admin.DiskView
	if _, err := v.question(ctx, http.MethodGet, "/v1/disk", &d); err != nil {
		return err
	}
	showTroubles(said, d.Shards)
	if r.Broken > 0 || troubled(d.Shards) {
		return errTold
	}
	return nil
}

// diskCompactVerb is edge disk compact.
type diskCompactVerb struct{ diskFlags }

// Run has the files made smaller.
func (v *diskCompactVerb) Run(ctx context.Context, t terminal) error {
	var r cachestore.CompactReport
	text, err := v.question(ctx, http.MethodPost, "/v1/disk/compact", &r)
	if err != nil {
		return err
	}
	if v.JSON {
		_, err = t.stdout.Write(text)
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "the files take %s, before %s\n", formatSize(r.After), formatSize(r.Before))
	return err
}
